"""Runbook 1, every day: that alerts are not muted, and that one gets through."""

from functools import partial

from opsverify import NONE, listed, runbook, say

DAILY = partial(runbook, "1-daily/alerts", stages=("daily",), needs=("alertmanager", "prometheus"))


@DAILY(
    id="daily.silences",
    severity="sev2",
    ko="알람 대시보드: 사일런스가 심각한 알람을 막지 않는가",
    en="No silence mutes what must be heard, and none is renewed for ever",
)
def test_silences(check, silences_in_force):
    """A silence counts by what it may mute, also while nothing fires; its renewals count as one."""
    found, now = silences_in_force
    muting = [one for one in found if one.silence.mutes_everything or one.mutes]
    check.measure(
        say("muting silences"), len(muting), NONE,
        of=listed(say("silences may mute alerts of the highest severity"), [one.text(now) for one in muting]),
    )  # fmt: skip
    longest = found[0] if found else None
    check.measure(
        say("longest silence"),
        longest.lasts_s(now) if longest else 0,
        check.limits.silence_age,
        of=longest.text(now) if longest else say("longest silence, none in force"),
    )


@DAILY(
    id="daily.watchdog",
    severity="sev1",
    ko="알람 대시보드: 늘 울리는 알람(watchdog)이 수신자까지 도달하는가",
    en="The alert that always fires gets to its receiver",
    where=(say("watchdog"), lambda target: target.alertmanager and target.alertmanager.watchdog),
)
def test_watchdog(check, broken_hop):
    """From the rule over Prometheus, Alertmanager and the route to a receiver that notifies somebody."""
    name = check.target.alertmanager.watchdog
    with check.must_answer(say("alert chain")):
        broken = broken_hop(name)
    if broken is not None:
        check.fail(say("{name} does not get through, at {hop}", name=name, hop=broken))
    check.expect(say("{name} gets to its receiver", name=name), broken is None, expected=True)
