"""PromQL: what must be there for an expression to have a result."""

from __future__ import annotations

import pytest

from opsverify.errors import Inconclusive
from opsverify.probes.prometheus_retention import read_retention
from opsverify.probes.promql import alternatives


@pytest.mark.parametrize(
    ("expression", "needed"),
    [
        ("vector(1)", [[]]),
        ("up == 0", [["up"]]),
        ("sum(rate(a[5m])) / sum(rate(b[5m])) > 0.05", [["a", "b"]]),
        ("a or b", [["a"], ["b"]]),
        ("(sum(a) or vector(0)) > 5", [["a"], []]),
        ("a and on (x) b", [["a", "b"]]),
        ("a unless b", [["a"]]),
        ("absent(a) or b", [[], ["b"]]),
        ("topk(5, -(a))", [["a"]]),
        ('{__name__="a",job="x"}', [['{__name__="a",job="x"}']]),
        ('a{code=~"5..",job!="x"}', [['a{code=~"5..",job!="x"}']]),
        (r'a{path="\"q\"\\d"}', [[r'a{path="\"q\"\\d"}']]),
    ],
)
def test_what_an_expression_needs(expression: str, needed: list[list[str]]) -> None:
    """All selectors of one alternative; what is taken away, or must be absent, is none of them."""
    assert [[one.text for one in each] for each in alternatives(expression)] == needed


def test_how_far_a_selector_reaches_and_what_takes_it_for_a_counter() -> None:
    """Range, offset and subquery add up; a label that may be missing need not be there."""
    ((one,),) = alternatives('max_over_time(rate(a{x="1",y!="2",z=""}[5m] offset 10m)[1h:1m])')
    assert (one.metric, one.labels, one.reach_s, one.rate) == ("a", ("x",), 3600 + 300 + 600, "rate")
    ((gauge,),) = alternatives("avg_over_time(a[5m])")
    assert (gauge.rate, gauge.reach_s) == ("", 300)


def test_what_cannot_be_parsed_holds() -> None:
    """A function that the parser does not know says nothing about the rule."""
    with pytest.raises(Inconclusive, match="cannot be parsed"):
        alternatives("foo bar")


@pytest.mark.parametrize(
    ("text", "days"), [("15d", 15), ("5w5d", 40), ("1y or 512MB", 365), ("512MB", None), ("", None)]
)
def test_retention(text: str, days: float | None) -> None:
    """By time; by size alone it is not known."""
    assert read_retention(text) == (None if days is None else days * 86400)
