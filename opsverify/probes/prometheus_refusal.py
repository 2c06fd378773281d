"""Refusals of Prometheus and of what stands in front of it: the fault that each of them is, and what to do about it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from opsverify.language.message import say
from opsverify.probes.source_fault import FaultReason, SourceFault
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOST_PARTS: Final = (
    "partial", "too many unhealthy instances", "store gateway", "store-gateway", "receive series from",
    "fetch series for", "unavailable vmstorage", "cannot fetch query results from vmstorage",
)  # fmt: skip
"""Words by which Thanos, Mimir and VictoriaMetrics refuse a query because a part of the data is away."""
_LOGIN: Final = (401, 403, 407)
_OK: Final = 200
_MOST_TEXT: Final = 200
_SUCCESS: Final = "success"


class _Answered(Protocol):
    """What is read of an answer (of `requests.Response`, whose import only its session needs)."""

    status_code: int

    @property
    def text(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


def is_success(body: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether an answer's body says that the query was evaluated: only then its data are whole."""
    return isinstance(body, dict) and body.get("status") == _SUCCESS and body.get("data") is not None


def refusal(where: str, response: _Answered | None, body: Any) -> SourceFault:  # noqa: ANN401 - any JSON value
    """The fault of an answer that is no success, by its status, its body as JSON (None: it is none) and its text."""
    status, text = (response.status_code, response.text) if response is not None else (0, "")
    kind, reason = (body.get("errorType"), body.get("error")) if isinstance(body, dict) else (None, None)
    if status == _OK and not reason and (body is None or not _says_no(body)):
        return _no_answer_of_the_api(where, response, body)
    if reason is None and body is None:
        reason = text[:_MOST_TEXT]  # Mimir and proxies refuse in plain text
    detail = f": {one_line(str(reason))}" if reason else ""
    lower = str(reason or "").lower()
    if kind == "bad_data":
        return SourceFault(
            FaultReason.BAD_QUERY, say("{where}: query refused{detail}; correct the PromQL", where=where, detail=detail)
        )
    if kind in ("timeout", "canceled"):
        return SourceFault(
            FaultReason.TIMEOUT,
            say("{where}: the query took too long{detail}; narrow it, or raise timeout_s", where=where, detail=detail),
        )
    if any(words in lower for words in _LOST_PARTS):
        message = say(
            "{where}: partial response (status {status}{detail}); check its sources",
            where=where,
            status=status,
            detail=detail,
        )
        return SourceFault(FaultReason.PARTIAL_RESPONSE, message)
    hint = _hint(status, lower, response)
    if status == _OK:
        message = say(
            "{where}: answered with status {said}, not success{detail}; {hint}",
            where=where,
            said=_said(body),
            detail=detail,
            hint=hint,
        )
        return SourceFault(FaultReason.HTTP_ERROR, message)
    return SourceFault(
        FaultReason.HTTP_ERROR,
        say(
            "{where}: status {status}, expected 200{detail}; {hint}",
            where=where,
            status=status,
            detail=detail,
            hint=hint,
        ),
    )


def _no_answer_of_the_api(where: str, response: _Answered | None, body: Any) -> SourceFault:  # noqa: ANN401 - any JSON value
    """The fault of an answer with status 200 that is none of Prometheus' API."""
    text = "" if response is None else response.text.strip()
    if body is not None:
        found = say("JSON of another API")
        message = say("{where}: {found}, no answer of Prometheus' API; check the URL", where=where, found=found)
    elif not text:
        message = say("{where}: an empty answer; check the URL, and what is in front of Prometheus", where=where)
    elif text.startswith("<"):
        message = say("{where}: an HTML page, expected JSON (a login page?); check login and URL", where=where)
    else:
        begin = one_line(text[:60])
        message = say(
            "{where}: no JSON, or a part of it ({begin} ...); check the URL, and what is in front of Prometheus",
            where=where,
            begin=begin,
        )
    return SourceFault(FaultReason.MALFORMED, message)


def _says_no(body: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(body, dict) and isinstance(body.get("status"), str) and body["status"] != _SUCCESS


def _said(body: Any) -> str:  # noqa: ANN401 - any JSON value
    return one_line(str(body.get("status", "-"))) if isinstance(body, dict) else "-"


def _hint(status: int, lower: str, response: _Answered | None) -> str:
    after = one_line(response.headers.get("Retry-After", "")) if response is not None else ""
    hint = say("check its log and the URL")
    if "no org id" in lower:
        hint = say('name the tenant: headers = {{ X-Scope-OrgID = "NAME" }}')
    elif status in _LOGIN:
        hint = say("check login and rights")
    elif "err-mimir-max" in lower:
        hint = say("narrow the selector, or raise the tenant's limit")
    elif "too many samples" in lower:
        hint = say("narrow the selector, or raise --query.max-samples of the server")
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        hint = say("too many queries: raise the limit of this client{after}", after=_after(after))
    elif status == HTTPStatus.SERVICE_UNAVAILABLE and after:
        hint = say("overloaded or starting: wait, then rerun{after}", after=_after(after))
    return hint


def _after(after: str) -> str:
    if not after:
        return ""
    return say(" (Retry-After: {after})", after=f"{after} s" if after.isdecimal() else after)
