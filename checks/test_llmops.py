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
    promoted = len(intent_review.promoted)
    found = say(
        "that people call wrong; candidates: {promoted} to register, {held} on hold",
        promoted=promoted,
        held=len(intent_review.candidates) - promoted,
    )
    check.measure(say("rules in force"), len(wrong), NONE, of=listed(found, wrong))


@runbook(
    "3-llmops/prompts",
    id="llmops.prompts",
    stages=("monthly",),
    needs=("postgres", "llmops"),
    severity="sev3",
    ko="Prompt Tuning: 적용 중인 프롬프트가 이전 버전보다 나쁘지 않은가, 실패 사례 선정",
    en="Prompts: the version in force is not proven worse than the one before; failure cases are in the evidence",
)
def test_prompts(check, prompt_review):
    """An exact paired test on held-out cases; three to five failure cases, none personal, none evaluated."""
    check.measure(
        say("versions in force"), int(prompt_review.result.decision == "rollback"), NONE,
        of=say("proven worse; {text}", text=prompt_review.text),
    )  # fmt: skip
