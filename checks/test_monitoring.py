"""Runbook 1 daily and 5-4: the monitoring of the platform works itself."""

from functools import partial

from opsverify import NONE, SERVING, Inconclusive, eventually, listed, per, runbook, say

MISSED = 3
SLACK_S = 1.0  # of two clocks, and of an evaluation under way
FIRST_SCRAPE_S = 60.0  # at most, awaited where a target's own interval is longer
EVERY_S = 1.0
HEALTH = partial(runbook, stages=SERVING)


@HEALTH(
    "1-daily/alerts",
    id="health.prometheus.targets",
    needs=("prometheus",),
    severity="sev2",
    ko="Prometheus 수집 대상이 모두 살아 있는가",
    en="Every scrape target of Prometheus is up",
)
def test_targets(check, prometheus):
    """A target that is not scraped raises no alert."""
    with check.must_answer(say("Prometheus")):
        targets = prometheus.targets()
        if new := [target.every_s for target in targets if target.health == "unknown"]:
            # Found a moment ago, a pod that just came: neither up nor down before its first scrape.
            targets = eventually(
                prometheus.targets,
                lambda found: all(target.health != "unknown" for target in found),
                deadline_s=min(max(new) + SLACK_S, FIRST_SCRAPE_S),
                every_s=EVERY_S,
                what=say("the first scrape of new targets"),
            )
    check.expect_all(say("jobs"), check.target.prometheus.jobs, {target.job for target in targets})
    down = [target.title for target in targets if target.health not in ("up", "unknown")]
    check.measure(
        say("targets"),
        len(down),
        check.limits.targets_down,
        of=listed(say("of {count} targets down", count=len(targets)), down),
    )
    if unknown := [target.title for target in targets if target.health == "unknown"]:
        raise Inconclusive(listed(say("targets never scraped; await their first scrape"), unknown))


@HEALTH(
    "1-daily/alerts",
    id="health.prometheus.rules",
    needs=("prometheus",),
    severity="sev2",
    ko="알람 규칙이 로드되어 평가되고 있는가",
    en="The alert rules are loaded and evaluated",
)
def test_rules(check, prometheus):
    """No alert means health only where the rules are loaded."""
    with check.must_answer(say("Prometheus")):
        found, now = prometheus.rules(), prometheus.now()
    check.expect_all(say("rules"), check.target.prometheus.rules, {rule.name for rule in found})
    # Rules of one name (a warning and a page of the same alert) are evaluated each by itself.
    failing = sorted(rule.name for rule in found if rule.health == "err")
    check.measure(
        say("failing rules"),
        len(failing),
        NONE,
        of=listed(say("of {count} rules fail to evaluate", count=len(found)), failing),
    )
    late = sorted({r.name for r in found if r.last_at and r.every_s and now - r.last_at > MISSED * r.every_s + SLACK_S})
    check.measure(
        say("late rules"),
        len(late),
        NONE,
        of=listed(say("of {count} rules not evaluated for {missed} intervals", count=len(found), missed=MISSED), late),
    )
    if unknown := sorted({rule.name for rule in found if rule.health == "unknown"}):
        raise Inconclusive(listed(say("rules never evaluated; await the next evaluation"), unknown))


@HEALTH(
    "1-daily/alerts",
    id="health.alertmanager",
    needs=("alertmanager",),
    severity="sev2",
    ko="Alertmanager가 준비되어 있는가",
    en="Alertmanager is ready",
)
def test_alertmanager(check, alertmanager):
    """An alert that is not routed reaches nobody."""
    with check.must_answer(say("Alertmanager")):
        status = alertmanager.status()
    check.expect(say("ready"), status.ready, expected=True)


@HEALTH(
    "1-daily/mcp",
    id="health.mcp",
    # In an incident of a connector its playbook measures the platform, which may use another node.
    stages=tuple(stage for stage in SERVING if stage != "incident-mcp"),
    needs=("mcp",),
    severity="sev2",
    ko="MCP 서버가 초기화되고 도구를 제공하는가",
    en="The MCP server initializes and offers its tools",
)
@per("server", lambda target: tuple(target.mcp), what=say("MCP server"))
def test_mcp(check, mcp, server):
    """A connector that is up but offers no tools fails every workflow that needs one."""
    with check.must_answer(say("MCP server {server}", server=server)):
        found = mcp(server).describe()
    check.expect_all(say("tools"), check.target.mcp[server].tools, set(found.tools))
    check.measure(say("initialize and list tools"), found.elapsed_s, check.limits.journey_wait)
