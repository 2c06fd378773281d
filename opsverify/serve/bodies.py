"""Bodies of requests and answers: each is declared once, for reading, for writing and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from opsverify.core.stages import STAGES


def _form(pattern: str, most: int) -> msgspec.Meta:
    """A form without the line break at the end that Python's `$` lets pass; to JSON Schema it is the same pattern."""
    return msgspec.Meta(pattern=f"{pattern}(?!\\n)", max_length=most)


Name = Annotated[str, _form("^[A-Za-z0-9][A-Za-z0-9._-]*$", 100)]
"""Of a target, a release, a namespace: what may stand in a URL and in a file's name."""
Checksum = Annotated[str, _form("^[A-Za-z0-9][A-Za-z0-9._:/+-]*$", 200)]
"""What tells one version of a release from another: Flagger's checksum, a pod template's hash, a digest."""
Image = Annotated[str, _form("^[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$", 300)]
StageName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(STAGES)})]
Duration = Annotated[str, _form("^[0-9]+([.][0-9]+)?(ms|s|m|h|d)$", 20)]
Moment = Annotated[
    str,
    _form(
        "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]"
        "(:[0-5][0-9]([.][0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$",
        40,
    ),
]
Share = Annotated[str, _form("^[0-9]+([.][0-9]+)? ?%?$", 10)]
_INVISIBLE: Final = (
    r"\s\x00-\x1f\x7f-\xa0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f"
    r"\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff"
)
"""Spaces, controls, and what has no shape: fillers, joiners, directions, variations, tags."""
Words = Annotated[str, msgspec.Meta(pattern=f"[^{_INVISIBLE}]", min_length=2, max_length=500)]
"""What a person wrote, with something in it that is seen."""
Text = Annotated[str, msgspec.Meta(max_length=500)]

Answer = Literal["promote", "rollback", "accept", "reject", "hold", "running"]
"""What a pipeline acts on. `running`: no decision yet."""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The release that is verified; its verdict and signature name all of it."""

    name: Name
    checksum: Checksum
    namespace: Name = "default"
    image: Image | None = None

    @property
    def parts(self) -> dict[str, str]:
        """The parts, as `opsverify verify --release` takes them."""
        image = {"image": self.image} if self.image else {}
        return {"name": self.name, "namespace": self.namespace, "checksum": self.checksum, **image}


class RunBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stage to run on a target of this server's project."""

    stage: StageName
    target: Name
    release: Release | None = None
    window: Duration | None = None
    share: Share | None = None
    recovery_target: Moment | None = None
    rolled_back_at: Moment | None = None
    incident_since: Moment | None = None
    switched_at: Moment | None = None


OPTIONS: Final = ("window", "share", "recovery_target", "rolled_back_at", "incident_since", "switched_at")
"""Fields of `RunBody` that are options of `opsverify verify`."""


class ArgoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the `web` provider of Argo Rollouts sends: a template's `jsonBody`."""

    name: Name
    checksum: Checksum
    namespace: Name = "default"
    image: Image | None = None
    window: Duration | None = None
    share: Share | None = None


class FlaggerMetadata(msgspec.Struct, frozen=True):
    """`metadata` of a Flagger webhook; other keys are the reader's own."""

    image: Image | None = None
    window: Duration | None = None
    share: Share | None = None


class FlaggerBody(msgspec.Struct, frozen=True):
    """What Flagger sends to every webhook."""

    name: Name
    namespace: Name
    checksum: Checksum
    phase: Text = ""
    metadata: FlaggerMetadata = FlaggerMetadata()


class DecisionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's decision: who, and why."""

    who: Words
    why: Words


class Approval(msgspec.Struct, frozen=True):
    """A hold that a person approved. The verdict stays a hold."""

    who: str
    why: str
    token: str
    at: str


class RunView(msgspec.Struct, frozen=True):
    """A run: what was asked for, where it is, what was decided, and what a pipeline may do now (`answer`)."""

    id: str
    stage: str
    target: str
    state: Literal["queued", "running", "finished"]
    answer: Answer
    decision: str | None
    reasons: list[str]
    reasons_ko: list[str]
    hook: str
    started_by: str
    created_at: str
    begun_at: str | None
    finished_at: str | None
    exit_code: int | None
    run_id: str | None
    verdict_sha256: str | None
    release: Release | None
    approval: Approval | None
    retired_at: str | None


class RunList(msgspec.Struct, frozen=True):
    """Runs, newest first."""

    runs: list[RunView]


class ArgoAnswer(msgspec.Struct, frozen=True):
    """What the conditions of an AnalysisTemplate read: `{$.answer}`."""

    answer: Answer
    reason: str
    reason_ko: str
    run: str | None = None


class FlaggerAnswer(msgspec.Struct, frozen=True):
    """The answer to a Flagger webhook; Flagger reads the status, people read the reason."""

    answer: Answer
    reason: str
    reason_ko: str
    run: str | None = None


class Health(msgspec.Struct, frozen=True):
    """Whether runs are accepted."""

    status: Literal["ok", "stopping"]


class ProblemBody(msgspec.Struct, frozen=True):
    """A problem, RFC 9457."""

    title: str
    status: int
    detail: str
    detail_ko: str
    type: str = "about:blank"
