"""Bound of a histogram's bucket: a matcher of `le` that finds every spelling of the number."""

from __future__ import annotations

from decimal import Decimal

from opsverify.language.message import say


def le_matcher(bound: float) -> str:
    """The label matcher of `le` for `bound`: `2`, `2.0`, `2e0`, `0.2e+1`, `+2.00` are one number.

    Which of them a bucket has depends on the client library, the exposition format and the server's version.
    """
    return f'le=~"{spellings(bound)}"'


def spellings(bound: float) -> str:
    """A regular expression (RE2, anchored by the server) that matches each spelling of `bound`, and no other number."""
    sign, digits, exponent = Decimal(repr(bound)).normalize().as_tuple()
    if sign or not isinstance(exponent, int) or bound <= 0:
        raise ValueError(say("{bound} is no bound of a bucket: expected a number above 0", bound=bound))
    text = "".join(map(str, digits))
    forms = [_plain(text, exponent)]
    for point in range(len(text) + 2):
        # 0.25 with the point after the first digit is 2.5e-1.
        power = len(text) + exponent - point
        sign_of = "[+]?" if power > 0 else "-" if power < 0 else "[+-]?"
        forms.append(f"{_plain(text, point - len(text))}[eE]{sign_of}0*{abs(power)}")
    return "[+]?(" + "|".join(forms) + ")"


def _plain(digits: str, exponent: int) -> str:
    """The digits times ten to `exponent`, without an exponent, with any zeros before and after."""
    if exponent >= 0:
        return f"0*{digits}{'0' * exponent}([.]0*)?"
    whole, fraction = digits[:exponent], digits[exponent:].rjust(-exponent, "0")
    return f"0*{whole}[.]{fraction}0*" if whole else f"0*[.]{fraction}0*"
