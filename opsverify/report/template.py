"""Templates of the pages, filled with autoescape: a value is never markup, and a missing name is an error."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from opsverify.language.plain import plain_lines


def fill(name: str, **values: object) -> str:
    """The template `name` of `opsverify/report/templates/`, filled with `values`."""
    return _environment().get_template(name).render(values)


def markup(filled: str) -> Markup:
    """What a template of this folder was filled to, to be put into another one as it is."""
    return Markup(filled)  # noqa: S704 - escaped when it was filled


def _plain(value: object) -> object:
    """What came from a service, without anything that acts on the page."""
    return plain_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("opsverify.report"),
        autoescape=True,
        finalize=_plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
