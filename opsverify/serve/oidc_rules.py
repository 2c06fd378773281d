"""Rules of OIDC jobs: which jobs of GitHub Actions, GitLab CI and others may do what, by the claims of their tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from opsverify.language.message import Message, say
from opsverify.probes.text import is_loopback
from opsverify.serve.bodies import Name  # noqa: TC001 - read by msgspec
from opsverify.serve.caller import Caller, May

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Wanted = str | list[str] | bool | int
IDENTITY: Final = (
    "sub", "repository", "repository_id", "repository_owner", "repository_owner_id", "enterprise", "enterprise_id",
    "project_path", "project_id", "namespace_path", "namespace_id",
)  # fmt: skip
"""Claims that say whose job it is; at github.com and gitlab.com everybody has jobs."""
_WILDCARD: Final = re.compile(r"[*?\[]")
_PROXIES: Final = ("none", "environment")


@dataclass(frozen=True)
class KeySource:
    """Where the public keys of an issuer are read, and how it is reached."""

    issuer: str
    jwks_url: str | None
    ca_file: str | None
    proxy: str


class OidcRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Jobs of one issuer whose claims are as `claims` says: what they may do, on which stages and targets.

    A text is a pattern (`*`, `?`, `[...]`) of the whole claim, one of a list is enough, and every claim must match.
    """

    name: Name
    issuer: str
    audience: str
    claims: dict[str, Wanted]
    may: list[May]
    stages: list[str]
    targets: list[str]
    jwks_url: str | None = None
    ca_file: str | None = None
    proxy: str = "none"

    @property
    def source(self) -> KeySource:
        """Where the issuer's keys are."""
        return KeySource(self.issuer, self.jwks_url, self.ca_file, self.proxy)

    def differing(self, claims: Mapping[str, object]) -> Iterator[str]:
        """The names of the claims that are not as the rule says; none where it matches."""
        given = claims["aud"]
        if given not in (self.audience, [self.audience]):
            yield "aud"
        for name, wanted in self.claims.items():
            if not _matches(claims.get(name), wanted):
                yield name

    def caller(self, subject: str) -> Caller:
        """The job `subject`. No rule and no token has a colon in its name: nobody else is called so."""
        stages, targets = frozenset(self.stages), frozenset(self.targets)
        return Caller(f"{self.name}:{subject}", frozenset(self.may), stages, targets, is_job=True)


def rule_problems(rules: Sequence[OidcRule]) -> Iterator[Message]:
    """What is wrong with the rules of a file, beyond their form."""
    for rule in rules:
        yield from _problems(rule)
    sources = {rule.source for rule in rules}
    for issuer in sorted({rule.issuer for rule in rules}):
        if len([source for source in sources if source.issuer == issuer]) > 1:
            yield say("oidc: the rules of {issuer} differ in jwks_url, ca_file or proxy", issuer=issuer)


def is_private(url: str) -> bool:
    """Whether nobody on the way can change what `url` answers: https, or this machine."""
    try:
        parts = urlsplit(url)
        local = is_loopback(url)
    except ValueError:
        return False
    plain = parts.username is None and parts.password is None
    return plain and bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


def _problems(rule: OidcRule) -> Iterator[Message]:
    if "approve" in rule.may:
        yield say("oidc {name}: a job never approves; take approve out of may: a person does, with a token",
                  name=rule.name)  # fmt: skip
    for url in (rule.issuer, rule.jwks_url):
        if url is not None and not is_private(url):
            yield say("oidc {name}: {url}: expected an https URL (http only on loopback)", name=rule.name, url=url)
    if not rule.audience:
        yield say("oidc {name}: audience is empty: a token for another service would be taken", name=rule.name)
    if not any(_names_an_owner(wanted) for name, wanted in rule.claims.items() if name in IDENTITY):
        yield say("oidc {name}: claims name no owner: jobs of strangers would match; add one of {claims} whose text up "
                  "to the first / has no wildcard", name=rule.name, claims=", ".join(IDENTITY))  # fmt: skip
    if rule.proxy not in _PROXIES and not rule.proxy.startswith(("http://", "https://")):
        yield say("oidc {name}: proxy: expected none, environment, or a URL", name=rule.name)


def _names_an_owner(wanted: Wanted) -> bool:
    """Whether a pattern, each of a list, is of one owner: what stands before the first slash is no pattern."""
    if isinstance(wanted, list):
        return bool(wanted) and all(map(_names_an_owner, wanted))
    owner = str(wanted).partition("/")[0]
    return bool(owner) and not isinstance(wanted, bool) and not _WILDCARD.search(owner)


def _matches(given: object, wanted: Wanted) -> bool:
    """Whether a claim is as wanted. A number is no text, and true is no number: an issuer's claim has one type."""
    if isinstance(wanted, list):
        return any(_matches(given, each) for each in wanted)
    if isinstance(wanted, str):
        return isinstance(given, str) and fnmatchcase(given, wanted)
    return type(given) is type(wanted) and given == wanted
