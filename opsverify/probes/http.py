"""HTTP probe, through httpx; no other module imports it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import httpx

from opsverify.errors import Inconclusive, Unreachable
from opsverify.language.message import say
from opsverify.probes.access import Access, bearer_access
from opsverify.probes.base import Probe
from opsverify.probes.http_client import Clients
from opsverify.probes.http_transport import MOST_BODY, read_body
from opsverify.probes.local_timer import Elapsed, LocalTimer
from opsverify.probes.proxy import NO_PROXY, shown
from opsverify.probes.record import Record, discard
from opsverify.probes.text import capped, is_refused_certificate, masked, one_line
from opsverify.probes.way import peers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.language.message import Message

_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
"""What OpenSSL calls an answer that is no TLS, in its different versions."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer of any status; `elapsed_s` runs from the request's start to the body's end."""

    url: str
    status: int
    elapsed_s: Elapsed
    headers: Mapping[str, str]
    text: str
    body: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON. Raises Inconclusive if it is not JSON, or an object has two values of one name."""
        try:
            return json.loads(self.text, object_pairs_hook=self._once)
        except (ValueError, RecursionError) as error:  # as the other: nested deeper than Python reads
            raise Inconclusive(
                say(
                    "{url}: expected JSON, got status {status} with {body}; check the URL's path",
                    url=self.url,
                    status=self.status,
                    body=one_line(self.text[:80]) if self.text else say("an empty body"),
                )
            ) from error

    def _once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object of the body. Raises Inconclusive for a name that is there twice: readers differ in which counts."""
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise Inconclusive(
                    say(
                        "{url}: the answer has {name!r} twice (status {status}); which of both is meant is not known",
                        url=self.url,
                        name=name,
                        status=self.status,
                    )
                )
            found[name] = value
        return found

    def field(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value at `name` (`parts.redis` for nested objects); Inconclusive if there is none."""
        value = self.json
        for step in name.split("."):
            if not isinstance(value, dict) or step not in value:
                raise Inconclusive(
                    say(
                        "{url}: no field {name!r} in the answer (status {status}); check its name",
                        url=self.url,
                        name=name,
                        status=self.status,
                    )
                )
            value = value[step]
        return value


class Options(TypedDict, total=False):
    """What a request may have besides its URL."""

    json: Any
    content: bytes | None
    """The body as it is sent, where it is not JSON; `headers` name its type."""
    headers: Mapping[str, str] | None
    bearer: str | None
    ca_file: str | None
    access: Access
    """Login, certificates and proxy of the part, instead of `bearer` and `ca_file`."""
    max_body: int
    """Bytes of the body that are read; a longer one is inconclusive."""
    address: str | None
    """Where to connect to instead of the host that the URL names; Host and certificate stay those of the URL."""


class Http(Probe):
    """Requests over pooled connections: no redirect is followed and nothing is retried."""

    def __init__(self, *, timeout_s: float = 5.0, record: Record = discard, proxy: str = NO_PROXY) -> None:
        super().__init__(record)
        self._clients = Clients(timeout_s, proxy)

    def get(self, url: str, **options: Unpack[Options]) -> Reply:
        """GET `url`; see `request`."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Unpack[Options]) -> Reply:
        """POST to `url`; see `request`."""
        return self.request("POST", url, **options)

    def request(self, method: str, url: str, **options: Unpack[Options]) -> Reply:
        """Send one request and read the whole answer, whatever its status.

        Raises Unreachable when there is none: refused, timed out, unknown host, failed TLS.
        """
        access = options.get("access") or replace(
            bearer_access(options.get("bearer") or None), ca_file=options.get("ca_file")
        )
        headers = access.headers
        if own := options.get("headers"):
            # A request's own header goes before the part's: a journey may test a login of its own.
            names = {name.lower() for name in own}
            headers = {name: value for name, value in headers.items() if name.lower() not in names} | dict(own)
        clients = self._clients
        watch = LocalTimer()
        try:
            address = options.get("address")
            named = httpx.URL(url)
            there = named if address is None else named.copy_with(host=address)
            client = clients.get(str(there), access, None if address is None else named.host)
            request = client.request(method, there, headers, json=options.get("json"), content=options.get("content"))
            if address is not None:
                request.headers["Host"] = named.netloc.decode("ascii")
                request.extensions["sni_hostname"] = named.host
        except (httpx.InvalidURL, TypeError, ValueError) as error:
            raise Inconclusive(
                say(
                    "{method} {url}: not a request that can be sent ({error}); correct it",
                    method=method,
                    url=url,
                    error=one_line(error),
                )
            ) from error
        clients.deadline.at = watch.started + clients.timeout_s
        try:
            response = client.send(request)
            body = read_body(response, options.get("max_body", MOST_BODY), f"{method} {url}")
        except Inconclusive as error:
            self._keep(request, client.proxy, str(error))
            raise
        except httpx.TimeoutException as error:
            message = say(
                "{method} {url}: no answer within {timeout_s:g} s; check that it is up and its port open",
                method=method,
                url=url,
                timeout_s=clients.timeout_s,
            )
            self._keep(request, client.proxy, message)
            raise Unreachable(message, by_clock=True, peers=peers_of(str(there), client.proxy)) from error
        except httpx.TransportError as error:
            message = _no_answer(method, url, one_line(error))
            self._keep(request, client.proxy, message)
            raise Unreachable(message, peers=peers_of(str(there), client.proxy)) from error
        except httpx.RequestError as error:
            message = say(
                "{method} {url}: the answer cannot be read ({error}); check the service's log",
                method=method,
                url=url,
                error=one_line(error),
            )
            self._keep(request, client.proxy, message)
            raise Inconclusive(message) from error
        text = body.decode(_charset(response), errors="replace")
        reply = Reply(url, response.status_code, watch.elapsed_s, response.headers, text, body)
        if self._record is not discard:
            answer = f"HTTP {reply.status} after {reply.elapsed_s * 1000:.1f} ms\n{masked(reply.headers)}"
            self._keep(request, client.proxy, f"{answer}\n\n{capped(text)}")
        return reply

    def close(self) -> None:
        """Close every connection; the probe may be used again."""
        self._clients.close()

    def _keep(self, request: httpx.Request, proxy: str | None, answer: str) -> None:
        if self._record is discard:
            return
        sent = f"\n\n{capped(request.content.decode(errors='replace'))}" if request.content else ""
        line = f"{request.method} {request.url}"
        if proxy:
            answer = f"through the proxy {shown(proxy)}\n{answer}"
        self._record(line, f"{line}\n{masked(request.headers)}{sent}\n\n{answer}\n")


def _charset(response: httpx.Response) -> str:
    if "charset" not in response.headers.get("content-type", "").lower():
        return "utf-8"
    try:
        "".encode(response.charset_encoding or "utf-8")
    except LookupError:
        return "utf-8"
    return response.charset_encoding or "utf-8"


def _no_answer(method: str, url: object, error: str) -> Message:
    if any(reason in error.upper().replace(" ", "_") for reason in _NO_TLS):
        return say(
            "{method} {url}: the answer is no TLS ({error}); write http:// in its url, or correct the port",
            method=method,
            url=url,
            error=error,
        )
    if is_refused_certificate(error):
        return say(
            "{method} {url}: its certificate is refused ({error}); renew it, or set ca_file",
            method=method,
            url=url,
            error=error,
        )
    return say(
        "{method} {url}: no answer ({error}); check that it is up, and its name and port",
        method=method,
        url=url,
        error=error,
    )
