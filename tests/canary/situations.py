"""Situations of a real cluster, each with the decision that is wanted: for tests and `benchmarks/gate_cluster`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from opsverify.canary.policy import Policy
from tests.canary.cluster import ERRORS, MCP, SLOW, Cluster, Pod, Share, pods

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GOOD = 0.003
BAD = 0.03
MINUTE = 60.0


@dataclass(frozen=True)
class Situation:
    """A cluster by seed, and what is wanted of its window: `promote`, `rollback`, `hold`, or one of several."""

    name: str
    make: Callable[[int], Cluster]
    wanted: tuple[str, ...]


def cluster(seed: int, canary: Sequence[Pod], errors: Share = GOOD, **more: Any) -> Cluster:  # noqa: ANN401
    """Canary pods beside five plain pods of the baseline."""
    shares = {"canary": errors, "baseline": more.pop("baseline", GOOD)}
    return Cluster([*canary, *pods(5, "baseline")], seed=seed, errors=shares, **more)


def scaled_down(**more: Any) -> list[Pod]:  # noqa: ANN401
    """Three pods, one gone at minute 5."""
    first, *others = pods(3, **more)
    first.died = 5 * MINUTE
    return [first, *others]


def replaced(**more: Any) -> list[Pod]:  # noqa: ANN401
    """Three pods, one replaced by a new one at minute 4."""
    first, *others = pods(3, **more)
    first.died = 4 * MINUTE + 7
    return [first, *others, Pod("canary-new", born=4 * MINUTE + 2, past=(0, 0), offset=4, **more)]


def spot(**more: Any) -> list[Pod]:  # noqa: ANN401
    """Spot nodes: every pod is replaced after some six minutes."""
    found = []
    for number, pod in enumerate(pods(4, **more)):
        died = 90.0 + number * 90
        pod.died = died
        found.append(pod)
        life = 0
        while died < 20 * MINUTE:
            born, died, life = died - 3, died + 6 * MINUTE, life + 1
            found.append(
                Pod(f"{pod.name}-{life}", born=born, died=died, past=(0, 0), offset=(number * 4 + life) % 15, **more)
            )
    return found


def autoscaled(**more: Any) -> list[Pod]:  # noqa: ANN401
    """Two pods, four more from minute 3 to 9."""
    burst = [
        Pod(f"canary-up-{n}", born=3 * MINUTE + n, died=9 * MINUTE + 11 * n, past=(0, 0), offset=n, **more)
        for n in range(4)
    ]
    return [*pods(2, **more), *burst]


def slow_scrapes(number: int) -> Callable[[int], Cluster]:
    """Scrapes once a minute, at offsets drawn by seed."""

    def make(seed: int) -> Cluster:
        found = pods(number, scrape_s=60)
        for index, pod in enumerate(found):
            pod.offset = (seed * 17 + index * (seed % 7 + 3) * 5) % 60
        return Cluster([*found, *pods(5, "baseline", scrape_s=60)], seed=seed)

    return make


def restarted(times: tuple[float, ...], number: int = 5, **more: Any) -> list[Pod]:  # noqa: ANN401
    """Pods of which the first one's process starts anew."""
    found = pods(number, **more)
    found[0].restarts = times
    return found


def quiet_end(**more: Any) -> list[Pod]:  # noqa: ANN401
    """A series that counts nothing is no longer exported from minute 2 on."""
    found = pods(3, **more)
    for pod in found:
        pod.quiet_ends = 2 * MINUTE
    return found


def collector(*, start: bool, label: str = "exported_instance") -> list[Pod]:
    """Pods behind one collector; one with a past of a day comes at minute 3."""
    common: dict[str, Any] = {"exports_start": start}
    found = [
        Pod(name, labels={"instance": "otel-collector:8889", label: name}, offset=3, **common)
        for name in ("pod-a", "pod-c")
    ]
    late = Pod(
        "pod-b", born=3 * MINUTE, past=(868_000, 434), labels={"instance": "otel-collector:8889", label: "pod-b"},
        offset=3, **common,
    )  # fmt: skip
    return [*found, late]


def quiet_line(make: Callable[[], list[Pod]]) -> Callable[[int], Cluster]:
    """Connectors are called every eight minutes, by each pod."""
    return lambda seed: cluster(seed, make(), counted=(ERRORS, MCP), calls=0.002)


def spike(seed: int, policy: Policy | None = None) -> Cluster:
    """Canary and baseline fail alike from minute 4 to 6."""
    share = ((-1e6, GOOD), (4 * MINUTE, 0.2), (6 * MINUTE, GOOD))
    return cluster(seed, pods(3), share, baseline=share, policy=policy or Policy())


def from_minute(minute: float, share: float) -> Share:
    """Good until a minute, then `share`."""
    return ((-1e6, GOOD), (minute * MINUTE, share))


COLD = ((-1e6, 0.2), (2 * MINUTE, 0.01))
PROMOTE, ROLLBACK, HOLD = ("promote",), ("rollback",), ("hold",)

SITUATIONS = (
    Situation("plain pods", lambda seed: cluster(seed, pods(3)), PROMOTE),
    Situation("plain pods, 3 % errors", lambda seed: cluster(seed, pods(3), BAD), ROLLBACK),
    Situation("scale-down of one of three", lambda seed: cluster(seed, scaled_down()), PROMOTE),
    Situation("scale-down, `up` not exported", lambda seed: cluster(seed, scaled_down(), exports_up=False), PROMOTE),
    Situation("scale-down, 3 % errors", lambda seed: cluster(seed, scaled_down(), BAD), ROLLBACK),
    Situation("one of three replaced", lambda seed: cluster(seed, replaced()), PROMOTE),
    Situation(
        "one of three replaced, start times not exported",
        lambda seed: cluster(seed, replaced(exports_start=False)),
        PROMOTE,
    ),
    Situation("one of three replaced, 3 % errors", lambda seed: cluster(seed, replaced(), BAD), ROLLBACK),
    Situation("spot nodes", lambda seed: cluster(seed, spot()), PROMOTE),
    Situation("spot nodes, 3 % errors", lambda seed: cluster(seed, spot(), BAD), ROLLBACK),
    Situation("autoscaler up and down", lambda seed: cluster(seed, autoscaled()), PROMOTE),
    Situation("autoscaler up and down, 3 % errors", lambda seed: cluster(seed, autoscaled(), BAD), ROLLBACK),
    Situation(
        "cold caches for two minutes, warm_up 2m",
        lambda seed: cluster(
            seed, pods(3), slow={"canary": COLD, "baseline": 0.01}, counted=(ERRORS, SLOW), policy=Policy(warm_up_s=120)
        ),
        PROMOTE,
    ),
    Situation(
        "cold caches for two minutes, no warm_up",
        lambda seed: cluster(seed, pods(3), slow={"canary": COLD, "baseline": 0.01}, counted=(ERRORS, SLOW)),
        ROLLBACK,
    ),
    *(
        Situation(f"{number} pods scraped every 60 s, any offsets", slow_scrapes(number), PROMOTE)
        for number in (2, 3, 5)
    ),
    Situation("a quiet series ends", lambda seed: cluster(seed, quiet_end()), PROMOTE),
    Situation(
        "a quiet series ends, 50 % errors from minute 4",
        lambda seed: cluster(seed, quiet_end(), from_minute(4, 0.5)),
        ROLLBACK,
    ),
    Situation("a label changes, new counters", lambda seed: cluster(seed, pods(3, renamed=4 * MINUTE)), PROMOTE),
    Situation(
        "a label changes, counters go on",
        lambda seed: cluster(seed, pods(3, renamed=4 * MINUTE, carries=True)),
        PROMOTE,
    ),
    Situation(
        "a label changes, 50 % errors from minute 5",
        lambda seed: cluster(seed, pods(3, renamed=4 * MINUTE), from_minute(5, 0.5)),
        ROLLBACK,
    ),
    Situation(
        "behind one collector, 3 % errors, a pod with a past comes",
        lambda seed: cluster(seed, collector(start=False), BAD),
        ROLLBACK,
    ),
    Situation(
        "behind one collector, unknown label, 3 % errors, a pod with a past comes",
        lambda seed: cluster(seed, collector(start=False, label="shard"), BAD),
        ROLLBACK,
    ),
    Situation(
        "behind one collector, the label named by the target, all pods good",
        lambda seed: cluster(seed, collector(start=False, label="shard")[:2], instance_label="shard"),
        PROMOTE,
    ),
    Situation("brief spike on canary and baseline alike", spike, PROMOTE),
    Situation(
        'brief spike, on_shared_breach = "hold"', lambda seed: spike(seed, Policy(on_shared_breach="hold")), PROMOTE
    ),
    Situation(
        "lasting breach of canary and baseline",
        lambda seed: cluster(seed, pods(3), from_minute(4, 0.2), baseline=from_minute(4, 0.2)),
        ROLLBACK,
    ),
    Situation("restart of one of five", lambda seed: cluster(seed, restarted((290.0,))), PROMOTE),
    Situation(
        "restart of one of five, start times not exported",
        lambda seed: cluster(seed, restarted((290.0,), exports_start=False)),
        PROMOTE,
    ),
    Situation(
        "crash loop of one of five", lambda seed: cluster(seed, restarted((120.0, 180.0, 240.0, 300.0))), ROLLBACK
    ),
    Situation(
        "restarted in place a minute before the window", lambda seed: cluster(seed, restarted((-60.0,), 1)), PROMOTE
    ),
    Situation(
        "fewer MCP calls than min_samples",
        lambda seed: cluster(seed, pods(3), counted=(ERRORS, MCP), calls=0.02),
        PROMOTE,
    ),
    *(
        Situation(f"{name}, each pod with seven MCP calls an hour", quiet_line(make), PROMOTE)
        for name, make in (
            ("one of three replaced", replaced),
            ("spot nodes", spot),
            ("autoscaler up and down", autoscaled),
            ("autoscaler up and down, start times not exported", partial(autoscaled, exports_start=False)),
        )
    ),
    Situation(
        "alert fires since before the window, ends at minute 3",
        lambda seed: cluster(seed, pods(3), alerts=(("Hot", -3600.0, 180.0),)),
        PROMOTE,
    ),
    Situation(
        "alert fires since before the window, to the end",
        lambda seed: cluster(seed, pods(3), alerts=(("Hot", -3600.0, 1e9),)),
        ROLLBACK,
    ),
    Situation(
        "alert begins in the window", lambda seed: cluster(seed, pods(3), alerts=(("Hot", 100.0, 200.0),)), ROLLBACK
    ),
    Situation(
        "not scraped until the window begins",
        lambda seed: cluster(seed, pods(3, unscraped=((-45.0, 10.0),))),
        PROMOTE,
    ),
    Situation(
        "not scraped until the window begins, 90 % errors meanwhile",
        lambda seed: cluster(
            seed, pods(3, unscraped=((-45.0, 10.0),)), ((-1e6, GOOD), (-45.0, 0.9), (0.0, GOOD)), baseline=GOOD
        ),
        HOLD,
    ),
    Situation(
        "not scraped until the window begins, its first errors meanwhile",
        lambda seed: cluster(
            seed,
            pods(3, unscraped=((-45.0, 10.0),), past=(100_000, 0)),
            ((-1e6, 0.0), (-45.0, 0.3), (0.0, 0.0)),
            baseline=GOOD,
        ),
        PROMOTE,
    ),
    Situation(
        "not scraped until the window begins, 3 % errors",
        lambda seed: cluster(seed, pods(3, unscraped=((-45.0, 10.0),)), BAD),
        ROLLBACK,
    ),
    Situation(
        "one of two pods not scraped, still serving",
        lambda seed: cluster(seed, [Pod("canary-a"), Pod("canary-b", offset=5, unscraped=((120.0, 1e9),))]),
        HOLD,
    ),
    Situation(
        "worse than the baseline, within limits",
        lambda seed: cluster(seed, pods(3), 0.006, baseline=0.001, policy=Policy(on_worse_than_baseline="rollback")),
        ROLLBACK,
    ),
)
