"""Ledger queries repeated after a restore: buckets of each table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.language.message import join, say
from opsverify.recovery.ledger.buckets import bucket_span, differences, key, read_buckets, recorded_slices, text
from opsverify.recovery.ledger.capture import HASH_SAMPLE
from opsverify.recovery.ledger.heap_pages import SYSTEM
from opsverify.recovery.verify.finding import Finding, joined
from opsverify.recovery.verify.loss import Loss
from opsverify.recovery.verify.open_checks import check_open, check_spread
from opsverify.recovery.verify.row_diff import differing_keys
from opsverify.recovery.verify.sample_checks import check_sample
from opsverify.recovery.verify.sampling import bound, draw, draws_needed
from opsverify.recovery.verify.written_since import added_since, loaded_anew, made_since, may_be_deleted
from opsverify.units import listed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from collections.abc import Sequence as Several

    from opsverify.recovery.ledger.buckets import Bucket
    from opsverify.recovery.ledger.history import History, TableHistory
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.tables import CoreTable


@dataclass(frozen=True)
class Sampling:
    """Sample of a table with more than `above_rows` recorded rows: under 1 in `one_in` differ, at `confidence`."""

    above_rows: int
    one_in: int
    confidence: float
    seed: int


def check_table(
    history: History,
    name: str,
    restored: Source,
    at: dt.datetime,
    *,
    live: Callable[[], Source] | None = None,
    sampling: Sampling | None = None,
    limited: bool = True,
) -> Finding:
    """Compare all rows of the table `name` that were recorded before `at`, the recovery target.

    `live` opens the original database, where it still is, to name the keys; only bad buckets are fetched.
    Where statements are `limited` in time, a large table is read in slices, by the index of its bucket column.
    """
    recorded = history.tables[name]
    ((hash_sample,),) = restored(HASH_SAMPLE, {})
    if str(hash_sample) != history.hash_sample:
        return Finding(
            0,
            "buckets",
            unknown=say(
                "this server hashes rows differently from the recorded one (another major version or "
                "byte order): compare on a server of the same major version"
            ),
            cover="none",
        )
    parts: list[Finding] = []
    ((system,),) = restored(SYSTEM, {})
    same = system == history.rows_system and not made_since(recorded, restored)
    if same and system == history.system:
        same = not loaded_anew(history, recorded, restored)
    # In post-dr production works on the database again, beyond the target; a rehearsal's nobody else works on.
    ((now,),) = restored("SELECT clock_timestamp()", {})
    until = max(at, now) if limited else at
    if recorded.buckets:
        written_until = until if same else None
        closed = check_buckets(
            recorded, restored, at, live=live, sampling=sampling, limited=limited, written_until=written_until
        )
        parts += [closed] if closed else []
    if recorded.open is not None:
        parts.append(check_open(recorded, restored, until, same_cluster=same))
    if recorded.probe is not None:
        parts.append(check_spread(recorded, restored))
    if recorded.sample is not None:
        known = {column for column in recorded.unhashed if any(f"{name}.{column}: " in line for line in _all(parts))}
        parts.append(check_sample(recorded, restored, until, known))
    if not parts:
        return Finding(
            0, say("closed buckets of {name} were recorded yet", name=name), unknown=_nothing(recorded), cover="none"
        )
    return joined(parts, "keys" if recorded.table.keys_only else "columns" if recorded.unhashed else "rows")


def _all(parts: Several[Finding]) -> list[str]:
    return [line for part in parts for line in part.problems]


def check_buckets(
    recorded: TableHistory,
    restored: Source,
    at: dt.datetime,
    *,
    live: Callable[[], Source] | None = None,
    sampling: Sampling | None = None,
    limited: bool = True,
    written_until: dt.datetime | None = None,
) -> Finding | None:
    """Compare the closed buckets of a table; None where retention leaves none.

    `written_until` is given where rows keep the transaction that wrote them: until when production may have.
    """
    name, expected = recorded.table.name, recorded.expected(at)
    if expected is None:
        return None
    span, buckets = expected
    sampled, note = _chosen(buckets, sampling)
    found = (
        read_buckets(
            restored,
            recorded.table,
            span,
            slices=recorded_slices(recorded.table, buckets, span) if limited else None,
        )
        if sampled is None
        else _each(restored, recorded.table, sampled)
    )
    before = buckets if sampled is None else {bucket: buckets[bucket] for bucket in sampled}
    wrong, mixed = list(differences(before, found)), ""
    notes: tuple[str, ...] = (note,) if note else ()
    if written_until is not None:
        wrong, since, mixed = added_since(recorded, restored, wrong, recorded.elapsed(written_until))
        notes += since
    keys = None
    if wrong and live is not None and recorded.table.key:
        keys = differing_keys(recorded.table, live(), restored, [bucket for bucket, _, _ in wrong])
    unnamed = (
        say("no primary key by which to name rows") if wrong and live is not None and not recorded.table.key else ""
    )
    problems = [
        say("{name} {bucket}: {text}", name=name, bucket=bucket, text=text(was, found_now))
        for bucket, was, found_now in wrong
    ]
    rows = sum(bucket.rows for bucket in before.values())
    named = say("keys {keys}", keys=keys) if keys else unnamed
    of = join(
        "; ",
        filter(
            None, [say("of {count:,} closed buckets ({rows:,} rows) differ", count=len(before), rows=rows), note, named]
        ),
    )
    doubt = mixed or may_be_deleted(recorded, wrong)
    return Finding(
        rows,
        of,
        () if doubt else tuple(problems),
        join("; ", (listed(say("differ"), problems), doubt)) if doubt else None,
        notes,
        tuple(_loss(recorded.table, *each) for each in wrong),
        keys,
        len(before),
    )


def _chosen(buckets: Mapping[str, Bucket], sampling: Sampling | None) -> tuple[frozenset[str] | None, str]:
    rows = sum(bucket.rows for bucket in buckets.values())
    if sampling is None or rows <= sampling.above_rows:
        return None, ""
    draws = draws_needed(sampling.one_in, sampling.confidence)
    chosen = draw({name: bucket.rows for name, bucket in buckets.items()}, draws, sampling.seed)
    share = round(1 / bound(draws, sampling.confidence))
    return chosen, (
        say(
            "sample of {count:,} of {all:,} buckets, {draws:,} draws with seed {seed}: if none "
            "differs, no more than 1 in {share:,} of {rows:,} recorded rows does, at {confidence:.0%}",
            count=len(chosen),
            all=len(buckets),
            draws=draws,
            seed=sampling.seed,
            share=share,
            rows=rows,
            confidence=sampling.confidence,
        )
    )


def _each(restored: Source, table: CoreTable, names: frozenset[str]) -> dict[str, Bucket]:
    found: dict[str, Bucket] = {}
    for name in sorted(names):
        found |= read_buckets(restored, table, bucket_span(table, name))
    return found


def _loss(table: CoreTable, name: str, before: Bucket, after: Bucket) -> Loss:
    span = bucket_span(table, name)
    window = {"since": key(span.since), "until": key(span.until)} if table.kind != "integer" else {}
    return Loss(table=table.name, kind="bucket", where=name, recorded=before.rows, found=after.rows, **window)


def _nothing(recorded: TableHistory) -> str:
    return say(
        "{name}: no bucket was closed when the ledger was captured; capture again later, or "
        "choose a narrower bucket in [recovery.tables]",
        name=recorded.table.name,
    )
