"""Runbook 1, every week: log retention in both directions, and storage with the day on which it is full."""

from functools import partial

from opsverify import Inconclusive, Limit, elapsed, per, runbook, say

WEEKLY = partial(runbook, "1-weekly/retention", stages=("weekly",), severity="sev3")


def rows_of(part):
    """The names of a part's entries; where a target is silent about it, the check is planned and holds."""

    def rows(target):
        found = tuple(getattr(target, part))
        if not found and target.has(part):
            raise Inconclusive(
                say(
                    "the target does not say what to review: describe [{part}.NAME], or declare {part} absent with "
                    "the reason",
                    part=part,
                )
            )
        return found

    return rows


@WEEKLY(
    id="weekly.log_retention",
    needs=("retention",),
    ko="로그 보존 기간이 약속과 같은가",
    en="Logs are kept as long as promised, and no longer than allowed",
)
@per("name", rows_of("retention"), what=say("log retention"))
def test_log_retention(check, aged_log, name):
    """Too long is found by the oldest entry; too short by entries that an earlier run saw, and that are gone."""
    rule = check.target.retention[name]
    log = aged_log(name)
    if rule.at_most_s is not None:
        check.measure(
            say("{name} oldest entry", name=name), log.age_s, Limit("<=", rule.at_most_s, "s"),
            of=say("since the oldest entry"),
        )  # fmt: skip
    if rule.at_least_s is None:
        return
    promised = Limit(">=", rule.at_least_s, "s")
    if promised.holds(log.age_s):
        check.measure(say("{name} kept", name=name), log.age_s, promised, of=say("kept"))
    elif log.removed:
        check.measure(
            say("{name} kept", name=name), log.age_s, promised,
            of=say("kept; an entry of {seen:%Y-%m-%d %H:%M} that an earlier run saw is gone", seen=log.seen),
        )  # fmt: skip
    elif log.seen is None:
        raise Inconclusive(
            say(
                "{name}: kept for {age}, {promised} promised: begun lately, or removed too early; "
                "the next run knows, for it will see whether an entry is gone",
                name=name,
                age=elapsed(log.age_s),
                promised=promised.text,
            )
        )
    else:
        check.expect(say("{name}: entries removed since {since:%Y-%m-%d %H:%M}", name=name, since=log.since),
                     log.removed, expected=False)  # fmt: skip


@WEEKLY(
    id="weekly.storage",
    needs=("storage", "prometheus"),
    ko="스토리지 사용량과 고갈 예상일",
    en="Storage has room, and the day on which it is full is far away",
)
@per("name", rows_of("storage"), what=say("storage"))
def test_storage(check, volumes, name):
    """From the lowest value of each day: what a night writes and removes is no trend, and neither is one step."""
    for volume in volumes(name):
        check.measure(say("{name} free", name=volume.name), volume.share, check.limits.storage_free, of=volume.text)
        if volume.left_s is not None:
            check.measure(
                say("{name} left", name=volume.name), volume.left_s, check.limits.storage_exhaustion, of=volume.text
            )
