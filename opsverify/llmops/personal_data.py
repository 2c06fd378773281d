"""Personal data in what people say: Korean registration, phone, card and account numbers, in the forms people write.

Numbers of lots, equipment and lines look alike and are none: a registration number holds a date, a card number fulfils
Luhn's check (ISO/IEC 7812-1, annex B), a phone number begins with a prefix that exists, an account number stands
beside a bank or the word for it.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

_GAP = r"[\s.\-]?"
_FREE: Final = r"(?<![A-Za-z0-9_-])"
_END: Final = r"(?![A-Za-z0-9_]|-\d)"
_REGISTRATION: Final = re.compile(rf"{_FREE}(\d{{2}})(\d{{2}})(\d{{2}})[\s\-]?([1-8])\d{{6}}{_END}")
_PHONE: Final = re.compile(
    rf"{_FREE}(?:\+?82{_GAP}\(?0?\)?{_GAP}|0)"
    rf"(?:1[016789]|2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50\d)\)?{_GAP}\d{{3,4}}{_GAP}\d{{4}}{_END}"
)
_CARD: Final = re.compile(rf"{_FREE}(?:\d{_GAP}){{12,18}}\d{_END}")
_ACCOUNT: Final = re.compile(
    r"(?:계좌|입금|송금|은행|뱅크|농협|신협|수협|우체국|account|bank)\D{0,12}((?:\d[\s\-]?){9,15}\d)(?!\d)",
    re.IGNORECASE,
)
_CENTURIES: Final = {"1": 1900, "2": 1900, "5": 1900, "6": 1900, "3": 2000, "4": 2000, "7": 2000, "8": 2000}


def personal_data(text: str) -> frozenset[str]:
    """Return the kinds that `text` holds: `registration number`, `phone number`, `card number`, `account number`."""
    found = set()
    if any(map(_is_date, _REGISTRATION.finditer(text))):
        found.add("registration number")
    if _PHONE.search(text):
        found.add("phone number")
    if any(_luhn(re.sub(r"\D", "", match[0])) for match in _CARD.finditer(text)):
        found.add("card number")
    if _ACCOUNT.search(text):
        found.add("account number")
    return frozenset(found)


def without_personal_data(text: str) -> str:
    """`text` as it may be shown and kept: itself, or the kinds of what it holds in its place."""
    kinds = personal_data(text)
    return f"[{', '.join(sorted(kinds))}]" if kinds else text


def _is_date(match: re.Match[str]) -> bool:
    year, month, day = (int(match[number]) for number in (1, 2, 3))
    try:
        dt.date(_CENTURIES[match[4]] + year, month, day)
    except ValueError:
        return False
    return True


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the digits of a two-digit product added up
    return total % 10 == 0
