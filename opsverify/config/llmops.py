"""LLM operations of a target: where the log of utterances is, and how much support a rule needs."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from opsverify.config.section import Duration, Section
from opsverify.units import parse_duration

UTTERANCES: Final = """
SELECT created_at AS at, user_id, utterance, intent, confidence::float8, feedback
  FROM intent_logs
 WHERE created_at >= %(since)s AND synthetic_tag IS NULL
 ORDER BY created_at DESC
 LIMIT 50000
"""


EVALUATIONS: Final = """
SELECT version, case_id, utterance, correct
  FROM prompt_evaluations
 ORDER BY max(evaluated_at) OVER (PARTITION BY version), version, case_id
 LIMIT 50000
"""


class RuleSupport(Section):
    """How much a candidate for a rule has to be supported: utterances, distinct users, distinct days."""

    utterances: int = Field(default=5, ge=1)
    users: int = Field(default=3, ge=1)
    days: int = Field(default=3, ge=1)


class LlmOps(Section):
    """The log of utterances: a query with the columns `at`, `user_id`, `utterance`, `intent`, `confidence`, `feedback`.

    `feedback` is 1, -1 or NULL; `%(since)s` is the start of the `lookback`. `evaluations` gives the answers of prompt
    versions to the held-out cases, the oldest version first: `version`, `case_id`, `utterance`, `correct`.
    """

    utterances: str = UTTERANCES
    evaluations: str = EVALUATIONS
    lookback: Duration = "7d"
    support: RuleSupport = RuleSupport()

    @property
    def lookback_s(self) -> float:
        """Seconds that are looked back."""
        return parse_duration(self.lookback)
