"""The MCP probe against a real MCP server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from opsverify.config.model import McpServer
from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.access import bearer_access
from opsverify.probes.local_timer import LocalTimer
from opsverify.probes.mcp import Mcp
from tests.probes.probe_servers import free_port, listens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.probes.probe_servers import FakeServer, Recorder


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run a real server, in a thread: the SDK's long import is paid once."""
    import uvicorn  # noqa: PLC0415 - 2 s with the SDK, only when these tests run

    from tests.probes.probe_mcp_server import server  # noqa: PLC0415 - as above

    port = free_port()
    config = uvicorn.Config(server.streamable_http_app(), host="127.0.0.1", port=port, log_level="warning")
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    while not listens(port):
        assert thread.is_alive()
        threading.Event().wait(0.02)
    yield f"http://127.0.0.1:{port}/mcp"
    served.should_exit = True
    thread.join(10)


def test_describe(url: str, recorder: Recorder) -> None:
    """Name and version of the server, and its tools."""
    watch = LocalTimer()
    found = Mcp(McpServer(url=url, timeout_s=60), record=recorder).describe()
    assert (found.server_name, found.server_version) == ("sensors", "1.2.3")
    assert found.protocol_version.startswith("20")
    assert found.tools == ("add", "fail", "hang")
    assert 0 < found.elapsed_s <= watch.elapsed_s
    assert '"sensors"' in recorder.text


def test_call(url: str, recorder: Recorder) -> None:
    """A tool's answer as text and structure; a tool that fails has answered too."""
    with Mcp(McpServer(url=url, timeout_s=60)).recording(recorder) as probe:
        reply = probe.call("add", {"left": 2, "right": 3})
        assert (reply.is_error, reply.text, reply.structured) == (False, "5", {"result": 5})
        reply = probe.call("fail", {})
        assert reply.is_error
        assert "sensor offline" in reply.text or reply.text
    assert '"left": 2' in recorder.text


def test_silence_is_unreachable(url: str) -> None:
    """A tool that does not return in time is no answer."""
    from tests.probes.probe_mcp_server import released  # noqa: PLC0415 - with the SDK

    released.clear()
    try:
        with pytest.raises(Unreachable, match="within 3 s") as caught:
            Mcp(McpServer(url=url, timeout_s=3.0)).call("hang", {})
    finally:
        released.set()
    assert caught.value.by_clock


def test_no_server_is_unreachable(recorder: Recorder) -> None:
    """Nothing listening is no answer."""
    probe = Mcp(McpServer(url=f"http://127.0.0.1:{free_port()}/mcp", timeout_s=30.0), record=recorder)
    with pytest.raises(Unreachable, match="no answer to describe"):
        probe.describe()
    assert "no answer" in recorder.text


@pytest.mark.parametrize(("status", "body"), [(200, "<html>"), (200, "{}"), (401, "no"), (404, "no"), (500, "no")])
def test_something_else_is_inconclusive(fake: FakeServer, status: int, body: str) -> None:
    """A server that answers, but not in MCP, is not measured."""
    fake.answer("/mcp", body, status)
    with pytest.raises(Inconclusive) as caught:
        Mcp(McpServer(url=f"{fake.url}/mcp", timeout_s=30.0), bearer_access("planted-bearer")).describe()
    assert "planted" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert fake.seen[0][2]["Authorization"] == "Bearer planted-bearer"
