"""Runbook 3, LLMOps: what people said and how they judged the answers, before anybody changes a rule."""

from opsverify import NONE, listed, runbook, say


@runbook(
    "3-llmops/rules",
    id="llmops.intent_rules",
    stages=("weekly",),
    needs=("postgres", "llmops"),
    severity="sev3",
    ko="Intent Rule 후보 검토: 적용 중인 규칙이 틀리지 않는가",
    en="Intent rules: no rule in force that people call wrong; candidates are in the evidence",
)
def test_intent_rules(check, intent_review):
    """Unsure and right: a candidate, replayed over past traffic. Sure and wrong: a rule to take back."""
    wrong = [rule.text for rule in intent_review.wrong]
    check.measure(say("rules in force"), len(wrong), NONE, of=listed(say("that people call wrong"), wrong))
    promoted = len(intent_review.promoted)
    check.measure(
        say("candidates"),
        promoted,
        check.limits.intent_candidates,
        of=say("to register in the learning tab, {held} on hold", held=len(intent_review.candidates) - promoted),
    )
