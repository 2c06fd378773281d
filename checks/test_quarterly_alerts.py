"""Runbook 1, every quarter: alert policies. Each rule can fire, is evaluated, reaches someone, and was exercised."""

from functools import partial

from opsverify import NONE, Inconclusive, listed, runbook, say

QUARTERLY = partial(runbook, "1-quarterly/policies", stages=("quarterly",), needs=("prometheus",), severity="sev2")
SHOWN = 10


@QUARTERLY(
    id="quarterly.alerts_can_fire",
    ko="알람 정책: 모든 규칙이 울릴 수 있는가",
    en="Every alert rule can fire",
)
def test_can_fire(check, alert_policies):
    """A rule over a metric that nothing exports is silent for ever; one whose label value was not seen yet is not."""
    with check.must_answer(say("Prometheus")):
        found = list(alert_policies.impossible())
    of = say("of {count} alert rules can never fire", count=len(alert_policies.rules))
    check.measure(say("rules"), len(found), NONE, of=listed(of, found, SHOWN))


@QUARTERLY(
    id="quarterly.alerts_evaluated",
    ko="알람 정책: 모든 규칙이 최근에 정상 평가되었는가",
    en="Every alert rule is evaluated",
)
def test_evaluated(check, alert_policies):
    """A rule that fails to evaluate does not fire."""
    with check.must_answer(say("Prometheus")):
        found = list(alert_policies.late())
    of = say("of {count} alert rules are not evaluated", count=len(alert_policies.rules))
    check.measure(say("rules"), len(found), NONE, of=listed(of, found, SHOWN))


@QUARTERLY(
    id="quarterly.alerts_reach",
    needs=("prometheus", "alertmanager"),
    ko="알람 정책: 모든 규칙의 알람이 수신자에게 도달하는가",
    en="Alerts of every rule reach a receiver that notifies somebody",
)
def test_reach(check, alert_policies, alertmanager):
    """Routes are walked as Alertmanager walks them; a receiver without an integration notifies nobody."""
    with check.must_answer(say("Alertmanager")):
        found = list(alert_policies.unheard(alertmanager, check.target.alertmanager))
    of = say("of {count} alert rules reach nobody", count=len(alert_policies.rules))
    check.measure(say("rules"), len(found), NONE, of=listed(of, found, SHOWN))


@QUARTERLY(
    id="quarterly.alerts_exercised",
    ko="알람 정책: 모든 규칙이 울린 적이 있거나 시험되었는가",
    en="Every alert rule has fired, would have fired, or was exercised",
)
def test_exercised(check, alert_policies):
    """A rule that has never fired is an assumption; what a person tried out is declared with date and name."""
    with check.must_answer(say("Prometheus")):
        found = alert_policies.never_exercised()
    back = check.target.prometheus.policy_lookback
    if found:
        raise Inconclusive(
            listed(
                say("{count} alert rules never exercised in {back}; try them, then declare [prometheus.exercised]",
                    count=len(found), back=back),
                found, SHOWN,
            )
        )  # fmt: skip
    of = say("of {count} alert rules never exercised in {back}", count=len(alert_policies.rules), back=back)
    check.measure(say("rules"), len(found), NONE, of=of)
