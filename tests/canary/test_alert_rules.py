"""Alerting rules that could fire on a canary: loaded, evaluated elsewhere, or none."""

from __future__ import annotations

from typing import Any

import pytest

from opsverify.canary.alert_rules import nothing_fires
from opsverify.config.model import PrometheusConfig
from opsverify.errors import Inconclusive
from opsverify.probes.prometheus import Prometheus

ALERTING = {"name": "TooSlow", "state": "inactive", "health": "ok"}
RECORDING = {"name": "job:rate", "health": "ok"}


class Rules(Prometheus):
    """A probe whose server lists these rules (None: it has no such endpoint), and has `ALERTS` or not."""

    listed: tuple[dict[str, Any], ...] | None = ()
    seen = False

    def _fetch(self, path: str, params: dict[str, str]) -> None:
        assert path == "/api/v1/rules", (path, params)

    def known(self, selector: str, back: str) -> bool:
        """Whether any alert was seen."""
        assert (selector, back) == ("ALERTS", "7d")
        return self.seen

    def _body(self) -> Any:  # noqa: ANN401 - any JSON value
        if self.listed is None:
            return None
        return {"status": "success", "data": {"groups": [{"interval": 15, "rules": list(self.listed)}]}}


def of(listed: tuple[dict[str, Any], ...] | None, *, seen: bool = False) -> str | None:
    """What is said of such a server."""
    probe = Rules(PrometheusConfig(url="http://127.0.0.1:1"))
    probe.listed, probe.seen = listed, seen
    return nothing_fires(probe)


def test_a_rule_that_is_loaded_could_fire() -> None:
    """Whether it ever did or not."""
    assert of((RECORDING, ALERTING)) is None


@pytest.mark.parametrize("listed", [(), (RECORDING,), None], ids=["none", "recording", "no endpoint"])
def test_without_a_rule_nothing_could_fire(listed: tuple[dict[str, Any], ...] | None) -> None:
    """Unless another server evaluates them, whose alerts were seen."""
    assert "no alerting rule is loaded" in str(of(listed))
    assert of(listed, seen=True) is None


def test_no_answer_is_no_knowledge() -> None:
    """A server that is away has neither rules nor none."""
    with Prometheus(PrometheusConfig(url="http://127.0.0.1:1")) as probe, pytest.raises(Inconclusive):
        nothing_fires(probe)
