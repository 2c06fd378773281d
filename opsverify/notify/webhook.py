"""Webhook: one message posted to one receiver, and what came of it. It never raises for a receiver."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from opsverify.config.database import SecretRef
from opsverify.errors import Inconclusive
from opsverify.language.message import Message, as_message, say
from opsverify.notify.forms import CLOUD_EVENT
from opsverify.probes.access import Access
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from opsverify.config.notify import Webhook
    from opsverify.config.secrets import Secrets
    from opsverify.evidence.redact import Redactor
    from opsverify.probes.http import Http, Reply

TIMEOUT_S: Final = 5.0
_SHOWN: Final = 80
_TAKEN: Final = 2
"""The first digit of a status that says: taken."""
_ASK_LATER: Final = 429
_PAUSE_S: Final = 60.0
"""After a 429 without `Retry-After`."""
_LONGEST_PAUSE_S: Final = 86_400.0
"""A receiver that asks for more is tried again after a day."""


@dataclass(frozen=True)
class Delivery:
    """What came of a message: why it was not taken (None: it was), and seconds to wait before the next try."""

    fault: Message | None = None
    pause_s: float = 0.0
    status: int | None = None
    """None: there was no answer."""


def post_json(
    http: Http, to: Webhook, secrets: Secrets, form: dict[str, Any], *, redactor: Redactor, proxy: str, cloud: bool
) -> Delivery:
    """Send `form` to the receiver `to`; `cloud`: as a CloudEvent in structured mode."""
    url = secrets[to.url] if isinstance(to.url, SecretRef) else to.url
    if not url.startswith(("http://", "https://")):
        return Delivery(say("its url is no http(s) URL; correct the secret"))
    headers = {} if to.bearer is None else {"Authorization": f"Bearer {secrets[to.bearer]}"}
    if cloud:
        headers["Content-Type"] = CLOUD_EVENT
    try:
        reply = http.post(url, json=form, access=Access(headers, to.ca_file, proxy=to.proxy or proxy))
    except Inconclusive as error:  # its text names the URL, and a webhook's URL is a credential
        return Delivery(as_message(redactor.text(str(error))))
    if reply.status // 100 == _TAKEN:
        return Delivery(status=reply.status)
    # Redacted before it is cut: the beginning of a URL is no URL any more, and its end is the credential.
    said = one_line(redactor.text(reply.text)[:_SHOWN]) or say("an empty body")
    pause_s = _retry_after_s(reply) if reply.status == _ASK_LATER else 0.0
    return Delivery(say("status {status} ({said})", status=reply.status, said=said), pause_s, reply.status)


def _retry_after_s(reply: Reply) -> float:
    """Seconds that a 429 asks to wait: `Retry-After` as a number or as a date (RFC 9110, 10.2.3)."""
    given = reply.headers.get("retry-after", "")
    try:
        asked = float(given) if given.isdecimal() else parsedate_to_datetime(given).timestamp() - time.time()
    except (ValueError, OverflowError):
        return _PAUSE_S
    return min(max(0.0, asked), _LONGEST_PAUSE_S)
