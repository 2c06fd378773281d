"""Runbook 1, every day: alarms, LLM failures and cost, dead letters, MCP timeouts."""

from functools import partial

from opsverify import NONE, elapsed, listed, runbook, say

DAILY = partial(runbook, stages=("daily",), needs=("prometheus",))


@runbook(
    "1-daily/alerts",
    "7-4/verify",
    id="daily.alerts",
    stages=("daily", "post-dr", "switchback"),
    needs=("alertmanager",),
    severity="sev1",
    ko="울리고 있는 알람이 없는가",
    en="No alert is firing",
)
def test_alerts(check, alertmanager):
    """The alert dashboard, read by machine; what is silenced or ignored is named, and of sev1 it counts."""
    config = check.target.alertmanager
    board = alertmanager.board(config.ignore)
    check.measure(say("alerts"), len(board.counted), check.limits.firing_alerts, of=board.text)
    check.measure(
        say("silences"), len(board.mute_all), NONE, of=listed(say("silences mute every alert"), board.mute_all)
    )
    if board.watchdog is not None:
        check.expect(say("{watchdog} fires", watchdog=config.watchdog), board.watchdog, expected=True)


@DAILY(
    "1-daily/llm",
    id="daily.llm_failures",
    signals=("llm_failures", "llm_calls"),
    severity="sev2",
    ko="LLM 실패율",
    en="LLM calls that fail or time out",
)
def test_llm_failures(check, lookback):
    """A slowly rising failure rate is found here, before it becomes an incident."""
    rate = lookback.rate("llm_failures", "llm_calls")
    check.enough(say("LLM calls"), rate.trials)
    check.measure(say("LLM failures"), rate.share, check.limits.llm_failure_rate, samples=rate.trials, of=rate.text)


@DAILY("1-daily/llm", id="daily.llm_cost", signals=("llm_cost",), severity="sev3", ko="LLM 비용", en="LLM cost")
def test_llm_cost(check, lookback):
    """What the LLM cost, scaled to a day: against the budget, and against the same weekday before where it is known."""
    cost, before = lookback.per_day("llm_cost"), lookback.per_day_a_week_ago("llm_cost")
    span = elapsed(cost.span_s)
    budget = say("a day, scaled from {span}", span=span)
    if not before:
        budget = say("a day, scaled from {span}; no cost of the same weekday before to compare with", span=span)
    check.measure(say("LLM cost"), cost.per_day, check.limits.llm_cost_per_day, of=budget)
    if before:
        weekday = say("the cost of the same weekday before ({usd:,.2f} USD a day)", usd=before)
        check.measure(say("LLM cost by the week"), cost.per_day / before, check.limits.llm_cost_weekday, of=weekday)


@DAILY(
    "1-daily/dead-letters",
    id="daily.dead_letters",
    needs=("postgres", "dead_letters"),
    severity="sev2",
    ko="워크플로 DLQ가 비어 가는가",
    en="Workflow dead letters are few and young",
)
def test_dead_letters(check, postgres):
    """A dead letter older than the limit is one that nobody handles."""
    queue = postgres.row(check.target.postgres.dead_letters)
    check.measure(say("dead letters"), queue.waiting, check.limits.dead_letters, of=say("dead letters waiting"))
    check.measure(say("oldest"), queue.oldest_s, check.limits.dead_letter_age, of=say("since the oldest dead letter"))


@DAILY(
    "1-daily/mcp",
    id="daily.mcp_timeouts",
    signals=("mcp_timeouts", "mcp_calls"),
    severity="sev2",
    ko="MCP 타임아웃",
    en="MCP timeouts",
)
def test_mcp_timeouts(check, lookback):
    """Connectors that time out stall the workflows that use them."""
    rate = lookback.rate("mcp_timeouts", "mcp_calls")
    check.enough(say("MCP calls"), rate.trials)
    check.measure(say("MCP timeouts"), rate.share, check.limits.mcp_timeout_rate, samples=rate.trials, of=rate.text)
