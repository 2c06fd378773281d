"""The catalogue of faults, and switching without a running platform."""

from __future__ import annotations

import itertools
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

from sandbox import SandboxError, faults, network, process_faults, sql_faults
from sandbox.core import Sandbox
from sandbox.home import Control, ControlState, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMES = list(faults.catalogue())


@pytest.fixture
def parts(tmp_path: Path) -> Any:  # noqa: ANN401 - the parts that faults of kind app need
    """Make a sandbox of which only the control file exists."""
    return SimpleNamespace(
        settings=Settings.build(tmp_path, 20000, tmp_path), control=Control(tmp_path), progress=print
    )


@pytest.mark.parametrize("name", NAMES)
def test_fault_is_described_in_both_languages(name: str) -> None:
    """Every fault says in Korean and English what it does, and where it can be switched on."""
    fault = faults.catalogue()[name]
    assert any("가" <= letter <= "힣" for letter in fault.ko)
    assert fault.en.isascii()
    assert fault.kind in ("app", "process", "sql")
    assert fault.scopes
    assert set(fault.scopes) <= {"all", "canary", "stable"}


@pytest.mark.parametrize(("kind", "actions"), [("process", process_faults.ACTIONS), ("sql", sql_faults.ACTIONS)])
def test_every_fault_of_the_sandbox_has_an_action(kind: str, actions: Mapping[str, object]) -> None:
    """What is switched by kind `process` or `sql` is what the catalogue lists; that it breaks something, the proof."""
    assert set(actions) == {name for name in NAMES if faults.catalogue()[name].kind == kind}


@pytest.mark.parametrize("off", [False, True])
@pytest.mark.parametrize("name", sql_faults.ACTIONS)
def test_fault_of_kind_sql_reaches_the_database(
    name: str,
    off: bool,  # noqa: FBT001 - a parameter of the test
    parts: Any,  # noqa: ANN401
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Switching it on, or off after that, sends statements or migrates."""
    parts.cluster, parts.platform = MagicMock(), MagicMock()
    (tmp_path / f"{name}.rows").touch()
    monkeypatch.setattr(sql_faults, "wait_until", lambda *_: None)
    faults.switch(parts, name, None, off=off)
    assert parts.cluster.mock_calls or parts.platform.mock_calls


def test_a_silence_is_switched_until_alertmanager_took_it(parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    """A busy one that does not answer in time is asked again, also for what is in force; those that ended stay."""
    silences: list[dict[str, Any]] = []
    answers = itertools.count()

    def busy() -> bool:
        return next(answers) % 3 == 0

    def post(*_: object) -> int:
        if busy():
            return 0
        silences.append({"id": str(len(silences)), "status": {"state": "active"}})
        return network.OK

    def delete(_port: int, path: str) -> int:
        if busy():
            return 0
        silences[int(path.rpartition("/")[2])]["status"]["state"] = "expired"
        return network.OK

    monkeypatch.setattr(network, "post", post)
    monkeypatch.setattr(network, "delete", delete)
    monkeypatch.setattr(network, "listens", lambda _: True)
    monkeypatch.setattr(network, "get_json", lambda *_: None if busy() else silences)
    for on, state in ((True, "active"), (False, "expired")):
        process_faults.carry_out(parts, "alerts_silenced", "all", on=on)
        assert [silence["status"]["state"] for silence in silences] == [state]


def test_switching_on_and_off_is_written_for_the_platform(parts: Any) -> None:  # noqa: ANN401
    """The platform reads a fault with its scope, and no longer once it is off."""
    faults.switch(parts, "latency", "canary", off=False)
    assert parts.control.read().faults == {"latency": "canary"}
    faults.switch(parts, "latency", None, off=True)
    assert parts.control.read().faults == {}


def test_default_scope_is_the_first(parts: Any) -> None:  # noqa: ANN401
    """Without a scope a fault is switched on for the first one it knows."""
    faults.switch(parts, "latency", None, off=False)
    assert parts.control.read().faults == {"latency": "all"}


def test_switching_off_what_is_off(parts: Any) -> None:  # noqa: ANN401
    """Switching off is allowed at any time."""
    faults.switch(parts, "latency", None, off=True)
    assert parts.control.read().faults == {}


def test_faults_add_up(parts: Any) -> None:  # noqa: ANN401
    """A second fault leaves the first one on, and traffic as it was."""
    parts.control.write(ControlState(rate=3.0))
    faults.switch(parts, "latency", "canary", off=False)
    faults.switch(parts, "error_rate", "all", off=False)
    assert parts.control.read() == ControlState(rate=3.0, faults={"latency": "canary", "error_rate": "all"})


def test_unknown_fault_suggests_the_nearest(parts: Any) -> None:  # noqa: ANN401
    """A typing error is answered with the name that was meant."""
    with pytest.raises(SandboxError, match="did you mean latency"):
        faults.switch(parts, "latncy", None, off=False)


def test_scope_that_a_fault_does_not_know(parts: Any) -> None:  # noqa: ANN401
    """The whole of PostgreSQL cannot be down for the canary only."""
    with pytest.raises(SandboxError, match="no scope canary: expected all"):
        faults.switch(parts, "postgres_down", "canary", off=False)


def test_components_that_faults_hold_down() -> None:
    """`up` leaves stopped what an active fault has stopped."""
    state = ControlState(faults={"redis_down": "all", "target_down": "canary", "latency": "all"})
    assert faults.held_down(state) == {"redis", "canary"}


def test_nothing_is_switched_without_a_sandbox(tmp_path: Path) -> None:
    """A fault on a sandbox that is not up says what to type."""
    with pytest.raises(SandboxError, match="run 'sandbox up' first"):
        Sandbox(tmp_path).fault("latency")


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_impossible_canary_share_is_refused(tmp_path: Path, share: float) -> None:
    """A share outside 0 to 1 never reaches the control file."""
    with pytest.raises(SandboxError, match="expected 0 to 1"):
        Sandbox(tmp_path, canary_share=share)


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_impossible_rate_is_refused(tmp_path: Path, rate: float) -> None:
    """A rate that cannot be sent never reaches the control file."""
    with pytest.raises(SandboxError, match="0 or more"):
        Sandbox(tmp_path, rate=rate)


def test_port_in_use_is_one_line(tmp_path: Path) -> None:
    """A port that is taken is named with its service and the next step, and nothing is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base = taken.getsockname()[1] - 6
        with pytest.raises(SandboxError, match=r"(in use: stop what listens there|out of range)"):
            Sandbox(tmp_path, base).up()
    assert not (tmp_path / "settings.json").exists()
