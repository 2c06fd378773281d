"""OIDC tokens of jobs: a JWT that the job's issuer signed, verified in full before anything in it counts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import jwt

from opsverify.language.message import Message, say
from opsverify.serve.declined import Declined
from opsverify.serve.oidc_keys import IssuerKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.serve.caller import Caller
    from opsverify.serve.oidc_rules import OidcRule

LOG: Final = logging.getLogger("opsverify.serve")
ALGORITHMS: Final = ("RS256", "ES256")
"""Asymmetric only: with a symmetric one, whoever knows the public key could sign."""
REQUIRED: Final = ("exp", "iat", "nbf", "aud", "iss", "sub")
LEEWAY_S: Final = 30
LONGEST: Final = 16 << 10
"""Characters of a token."""
LONGEST_SUBJECT: Final = 500
_PARTS: Final = 3


def looks_like_jwt(plain: str) -> bool:
    """Whether it has the form of a signed token; nothing is decoded."""
    return plain.count(".") == _PARTS - 1 and len(plain) <= LONGEST


class OidcJobs:
    """The jobs of all rules. No message of it holds any part of a token but the subject of a verified one."""

    def __init__(self, keys: IssuerKeys | None = None) -> None:
        self.keys = keys or IssuerKeys()

    def caller(self, plain: str, rules: Sequence[OidcRule]) -> Caller:
        """The job that the token is of, with what the first rule that matches it allows.

        Raises Declined: 401 for a token that is not valid, 403 for a valid one that no rule matches, 503 where the
        issuer's keys cannot be read.
        """
        header, issuer = _unverified(plain)
        of_issuer = [rule for rule in rules if rule.issuer == issuer]
        if not of_issuer:
            raise _invalid(say("token: of an issuer that no rule names"))
        if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
            raise _invalid(say("token: expected RS256 or ES256, and a key id"))
        key = self.keys.find(of_issuer[0].source, header["kid"])
        if key is None:
            raise _invalid(say("token: signed with a key that its issuer does not publish"))
        return _caller(_verified(plain, key, of_issuer), of_issuer)


def _unverified(plain: str) -> tuple[dict[str, Any], object]:
    """The header and the issuer that a token names. They choose the key that it is verified with, and nothing else."""
    try:
        header = jwt.get_unverified_header(plain)
        return header, jwt.decode(plain, options={"verify_signature": False}).get("iss")
    except (jwt.PyJWTError, ValueError, RecursionError):  # their texts quote the token
        raise _invalid(say("token: could not be parsed")) from None


def _verified(plain: str, key: jwt.PyJWK, rules: Sequence[OidcRule]) -> dict[str, Any]:
    """The claims, after signature, times, issuer and audience were checked."""
    try:
        claims = jwt.decode(
            plain, key, algorithms=[key.algorithm_name], audience=sorted({rule.audience for rule in rules}),
            issuer=rules[0].issuer, leeway=LEEWAY_S, options={"require": list(REQUIRED)},
        )  # fmt: skip
    except jwt.ExpiredSignatureError:
        raise _invalid(say("token: expired")) from None
    except jwt.ImmatureSignatureError:
        raise _invalid(say("token: not valid yet; check the clocks")) from None
    except jwt.InvalidAudienceError:
        raise _invalid(say("token: for another audience")) from None
    except jwt.MissingRequiredClaimError as error:
        raise _invalid(say("token: claim {claim} is missing", claim=error.claim)) from None
    except (jwt.PyJWTError, ValueError, RecursionError):  # as above
        raise _invalid(say("token: signature or form is wrong")) from None
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1:
        raise _invalid(say("token: for several audiences: each of them could use it here; ask for one"))
    subject = claims["sub"]
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise _invalid(say("token: sub cannot be kept: expected up to {most} printable characters",
                           most=LONGEST_SUBJECT))  # fmt: skip
    return claims


def _caller(claims: dict[str, Any], rules: Sequence[OidcRule]) -> Caller:
    """The job by the first rule that matches. Raises Declined where none does; the log has the claims that differ."""
    for rule in rules:
        differing = list(rule.differing(claims))
        if not differing:
            return rule.caller(claims["sub"])
        LOG.info("oidc %s: not for %s: %s", rule.name, claims["sub"], ", ".join(differing))
    raise Declined(403, say("job {subject}: no rule matches its claims", subject=claims["sub"]))


def _invalid(why: Message) -> Declined:
    return Declined(401, why, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
