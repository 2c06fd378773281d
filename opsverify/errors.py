"""Error tree of opsverify.

OpsVerifyError
 ├── TargetError      the target file, its secrets or the command line are wrong (exit 4)
 ├── EvidenceError    evidence could not be written, read back or verified
 ├── Refused          `act` or `rollout` does nothing; the message says what to fix first (exit 10)
 └── Inconclusive     something could not be measured: never a pass, never a fail
     ├── Unreachable  because there was no answer at all
     ├── LoginRefused because a server that is up refuses the login: another attempt changes nothing
     ├── NotDescribed because the target lacks what a check needs: another attempt changes nothing either
     ├── MachineBusy  because the run's own machine kept it waiting while it measured a time
     └── NotRestorable  because the backup or its WAL is at fault: for a rehearsal, that is a failure
CheckFailed           (an AssertionError) something was measured and lies outside its limit

Only two of them leave a check: `CheckFailed`, which Allure shows as *failed*, and `Inconclusive`,
which it shows as *broken*. Any other exception out of a check counts as inconclusive too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opsverify.language.message import join
from opsverify.language.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Sequence


class OpsVerifyError(Exception):
    """Base of everything that opsverify raises on purpose, apart from `CheckFailed`."""


class TargetError(OpsVerifyError):
    """A target or command line that cannot be used; `problems` holds one line for each fault found."""

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(map(plain_line, problems))  # they quote files and command lines
        super().__init__(join("\n", self.problems))


class EvidenceError(OpsVerifyError):
    """Evidence that cannot be written, or does not match its manifest or signature."""


class Refused(OpsVerifyError):  # noqa: N818 - an outcome, not an error of the program
    """A verdict that must not be carried out; nothing was done."""


class Inconclusive(OpsVerifyError):  # noqa: N818 - an outcome, not an error: the word of the design page
    """Something could not be measured; the message says why and what to do."""


class Peer(NamedTuple):
    """The other end of a connection: a component, or the proxy on the way to it."""

    host: str
    port: int
    proxy: bool = False


class Unreachable(Inconclusive):
    """A component did not answer; for the health check of that very component this is a failure.

    `by_clock`: it did not answer in time, and this machine's clock measured the time. `peers`: where the
    connection was to go, one of several or none where that is not known.
    """

    def __init__(self, message: str, *, by_clock: bool = False, peers: Sequence[Peer] = ()) -> None:
        super().__init__(message)
        self.by_clock = by_clock
        self.peers = tuple(peers)


class LoginRefused(Inconclusive):
    """A server refuses user or password; further attempts would not measure anything, and may lock the account."""


class NotDescribed(Inconclusive):
    """The target does not describe what a check needs; another attempt finds the same target."""


class MachineBusy(Inconclusive):
    """A time was measured while the machine that measured it kept the run waiting: it says nothing."""


class NotRestorable(Inconclusive):
    """A restore failed because of its backup or WAL, not because of this machine; a rehearsal fails on it."""


class CheckFailed(AssertionError):  # noqa: N818 - pairs with Inconclusive
    """A measurement outside its limit; the message is one line for the person on call.

    `by_clock`: nothing is outside but times that this machine's clock measured.
    """

    def __init__(self, message: str = "", *, by_clock: bool = False) -> None:
        super().__init__(message)
        self.by_clock = by_clock
