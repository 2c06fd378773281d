"""HTTP transport of the probes: one deadline for a whole request, and bodies of bounded size.

httpx limits each wait for bytes; a server that sends one byte now and then is never done. Here every wait ends at
the request's deadline, whether it is for a connection, TLS, headers or the body.
"""

from __future__ import annotations

import threading
import time
import zlib
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import httpcore
import httpx

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

MOST_BODY: Final = 1 << 20
"""Bytes of an answer's body, unpacked, that are read."""
_INFLATED: Final = {"gzip": 31, "x-gzip": 31, "deflate": 47}
"""Encodings that are unpacked here, with zlib's window bits for each; none of them is asked for."""


class Deadline(threading.local):
    """When the request that this thread is sending must have ended."""

    at: float = float("inf")

    def left(self, timeout: float | None) -> float:
        """Seconds to wait at most. Raises httpcore.ReadTimeout when none is left."""
        left = self.at - time.perf_counter()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer did not end in time")
        return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as its base
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._backend = backend
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options), self._deadline)


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport, whose every wait ends at `deadline`."""

    def __init__(self, deadline: Deadline, verify: ssl.SSLContext | Literal[True], proxy: str | None) -> None:
        super().__init__(verify=verify, trust_env=False, proxy=proxy)
        pool: Any = self._pool  # httpx hands on no backend
        pool._network_backend = _Backend(pool._network_backend, deadline)  # noqa: SLF001 - as above


def read_body(response: httpx.Response, most: int, where: str) -> bytes:
    """The body of `response`, unpacked. Raises Inconclusive for one that is longer than `most` bytes.

    Nothing beyond `most` is kept in memory, however well it is packed.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    packed = _bounded(response, most, where)
    if encoding in ("identity", ""):
        return packed
    if encoding not in _INFLATED:
        raise Inconclusive(
            say(
                "{where}: the answer is encoded as {encoding!r}, which was not asked for; turn it off",
                where=where,
                encoding=encoding[:40],
            )
        )
    try:
        return _inflated(packed, _INFLATED[encoding], most, where)
    except zlib.error as error:
        raise Inconclusive(
            say(
                "{where}: the answer is no valid {encoding} ({error}); check the service's log",
                where=where,
                encoding=encoding,
                error=error,
            )
        ) from error


def _bounded(response: httpx.Response, most: int, where: str) -> bytes:
    stream = cast("httpx.SyncByteStream", response.stream)
    body = bytearray()
    try:
        for chunk in stream:
            body += chunk
            if len(body) > most:
                raise _too_long(where, most)
    finally:
        stream.close()
    return bytes(body)


def _inflated(packed: bytes, bits: int, most: int, where: str) -> bytes:
    unpacker = zlib.decompressobj(bits)
    body = unpacker.decompress(packed, most + 1)
    if len(body) > most or unpacker.unconsumed_tail:
        raise _too_long(where, most)
    return body + unpacker.flush()


def _too_long(where: str, most: int) -> Inconclusive:
    return Inconclusive(
        say(
            "{where}: the answer is longer than {most:,} bytes, the rest was not read; name a "
            "smaller endpoint, or raise max_body of the service",
            where=where,
            most=most,
        )
    )
