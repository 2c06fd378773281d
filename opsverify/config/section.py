"""Section of a target file: the base of every table, and the kinds of text in it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from opsverify.language.message import say
from opsverify.units import parse_bytes, parse_duration


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _bytes(text: str) -> str:
    parse_bytes(text)
    return text


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(
            say(
                '"{url}" is not an http(s) URL: expected a form such as "https://judgment.example.com"',
                url=_without_login(text),
            )
        )
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError(say("a URL with a login in it; take it out, and name user and password by keys of their own"))
    try:
        parts = urlsplit(text)
        whole = bool(parts.hostname) and parts.port != 0  # reading the port refuses one above 65535
    except ValueError:
        whole = False
    if not whole or not text.isprintable() or " " in text:
        raise ValueError(say('"{url}" has no host, or no port of 1 to 65535', url=text))
    return text.rstrip("/")


def _web(text: str) -> str:
    _url(text)
    return text  # a link is followed as it is written


def _without_login(text: str) -> str:
    return text.rpartition("@")[2]


def _proxy(text: str) -> str:
    return text if text in ("none", "environment") else _url(text)


Bytes = Annotated[str, AfterValidator(_bytes)]
Duration = Annotated[str, AfterValidator(_duration)]
Proxy = Annotated[str, AfterValidator(_proxy)]
"""`none`, `environment` (`HTTP_PROXY`, `NO_PROXY` and their like), or the URL of a proxy."""
Url = Annotated[str, AfterValidator(_url)]
WebPage = Annotated[str, AfterValidator(_web)]
"""A page that evidence links to: a link of another scheme may run what it names."""
Timeout = Annotated[float, Field(gt=0, le=86_400)]
"""Seconds to wait; threads and sockets take no time beyond all clocks."""


class Section(BaseModel):
    """A table of the target file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)
