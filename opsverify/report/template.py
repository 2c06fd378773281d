"""Templates of the pages, filled with autoescape: a value is never markup, and a missing name is an error."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def fill(name: str, **values: object) -> str:
    """The template `name` of `opsverify/report/templates/`, filled with `values`."""
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("opsverify.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
