"""Runbook 7: the original region serves again, holds the increment of the DR region, and is the only primary."""

from functools import partial

from opsverify import NONE, Inconclusive, Limit, listed, measure_cached_since, per, runbook, say
from opsverify.switchback.described import core_tables, dr_is_standby, elapsed_s
from opsverify.switchback.twins import commits_blocked, dead_slots, sequences_behind, standbys_without_slot
from opsverify.units import quantity

SWITCHBACK = partial(runbook, stages=("switchback",), needs=("regions",), severity="sev1")
ENCRYPTED = ("require", "verify-ca", "verify-full")
SAMPLE = 1000
AT_ALL = Limit(">=", 1, "count")
FAILED_PAGES = "SELECT coalesce(sum(checksum_failures), 0)::int FROM pg_stat_database"
PLAIN_LINKS = """
    SELECT application_name
      FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)
     WHERE NOT ssl AND client_addr IS NOT NULL
"""


@SWITCHBACK(
    "7-1/origin",
    id="switchback.origin",
    ko="원 리전의 서비스와 DB가 복구되어 정상인가",
    en="Service and database of the original region are back and healthy",
)
def test_origin(check, regions):
    """Requested at its own addresses, whatever DNS points to: traffic must not be sent to a failing region."""
    config = regions.config
    for address in config.original.addresses:
        with check.must_answer(say("original region at {address}", address=address)):
            reply = regions.answer_at(address)
        check.expect(say("HTTP status at {address}", address=address), reply.status, 200)
        check.expect(say("{status_field} at {address}", status_field=config.status_field, address=address),
            reply.field(config.status_field), config.healthy)  # fmt: skip
    with check.must_answer(say("database of the original region")):
        failed = regions.original.value(FAILED_PAGES)
    check.measure(
        say("damaged pages"), failed, NONE, of=say("pages failed their checksum in the original region's database")
    )


@SWITCHBACK(
    "7-1/origin",
    id="switchback.security",
    ko="원 리전의 네트워크/보안이 정상인가 (TLS, 관리 포트)",
    en="Network and security of the original region are as promised (TLS, administration ports)",
)
def test_security(check, regions):
    """A region rebuilt in a hurry often has a self-signed certificate or an open firewall."""
    config = regions.config
    for address in config.original.addresses:
        # Otherwise a network that is down would pass as a closed firewall.
        if (answer := regions.port_answer(address, config.port)) != "open":
            raise Inconclusive(say("{address}:{port} takes no connection ({answer}): closed ports prove nothing; fix "
                "it first", address=address, port=config.port, answer=answer))  # fmt: skip
        with check.must_answer(say("TLS of {address}", address=address)):
            shown = regions.certificate_at(address)
        for link in shown.chain if shown else ():
            check.measure(
                say("certificate at {address}", address=address),
                link.remaining_s,
                check.limits.tls_validity,
                of=link.text,
            )
    ports = regions.closed_ports()
    check.measure(say("open ports"), len(ports.opened), NONE, of=listed(say("of {count} closed ports are open",
        count=len(config.original.closed)), ports.opened))  # fmt: skip
    if ports.unproven:
        raise Inconclusive(listed(say("no answer from {count} of the closed ports: dropped by a firewall, or not "
            "reached; have it reject, or set firewall_drops = true in [regions.original]", count=len(ports.unproven)),
            ports.unproven))  # fmt: skip
    if config.original.database.sslmode in ENCRYPTED:
        plain = [row.application_name for row in regions.original.rows(PLAIN_LINKS)]
        check.measure(say("plain links"), len(plain), NONE, of=listed(say("replication links without TLS"), plain))


@SWITCHBACK(
    "7-2/sync",
    id="switchback.timeline",
    ko="원 리전 DB가 DR 리전의 타임라인을 이어받았는가",
    en="The original region's database continues the DR region's timeline",
)
def test_timeline(check, regions):
    """An old primary that was only started again lacks all later writes: its timeline history shows it."""
    # First: two regions that are one server would be told to rewind, or to stop, their only primary.
    _ = regions.servers
    original, dr = regions.timeline("original"), regions.timeline("dr")
    path = regions.timeline_path(original)
    if not path.descends_from(dr):
        check.fail(say("timeline {dr} of the DR region is not in the history of timeline {original} of the "
            "original region: the two have diverged; find out which one holds the later writes, and "
            "rewind the other", dr=dr, original=original))  # fmt: skip
    if path.passed is None:
        check.fail(say("timeline {original} of the original region has {count} ancestors: it lacks the writes "
            "of the DR region; run pg_rewind against the DR region, let it follow, and switch again", original=original,
            count=len(path.ancestors)))  # fmt: skip
    check.measure(say("increment"), path.passed.size, Limit(">=", 0, "bytes"), of=path.passed.text)
    # A standby of the original region has the original's WAL; on its own timeline it must end where that was left.
    past = max(0, regions.dr_position() - path.passed.left) if dr == path.passed.timeline else 0
    stray = regions.dr_wal.written_after(path.passed)
    if past or stray.tables:
        of = listed(
            say("bytes of WAL were written in DR after the original region took over; tables that it changed"),
            stray.tables,
        )
        check.fail(say("{past:,} {of}: save these rows, then discard that WAL (pg_rewind, or a new base backup)",
            past=past, of=of))  # fmt: skip
    written = regions.written()
    check.attach("tables that the DR region changed", "\n".join(written.tables))
    if uncovered := regions.dr_wal.uncovered(written.tables):
        raise Inconclusive(say("not covered: the DR region changed {count} tables that are not compared ({uncovered}); "
            "add them to [[regions.tables]], or to regions.left_out", count=len(uncovered),
            uncovered=", ".join(uncovered)))  # fmt: skip


@SWITCHBACK(
    "7-2/sync",
    id="switchback.increment",
    ko="DR 기간의 증분이 양쪽에서 같은가",
    en="What was written meanwhile is the same in both regions",
)
@per("table", core_tables, name=lambda table: table.name, what=say("core table"))
def test_increment(check, regions, table):
    """Rows written from the outage to the switch, compared by key in chunks, in both directions."""
    found = regions.compare(table)
    check.attach("clocks", f"of both regions within {quantity(regions.margin.total_seconds(), 's')}; so much wider")
    if not found.rows and regions.changed_by_dr(table):
        raise Inconclusive(
            say(
                "{name}: no row of the DR period was compared, and WAL of that period changes the table: "
                "check that {changed} is set at every write, and regions.outage_at",
                name=table.name,
                changed=table.changed,
            )
        )
    check.measure(say("rows apart"), found.count, NONE, samples=found.rows,
        of=listed(say("of {rows:,} rows of the increment differ", rows=found.rows),
        found.named(say("the original region"), "DR")))  # fmt: skip
    # A standby of the original region cannot have written anything by itself.
    if regions.timeline("dr") != regions.timeline("original"):
        late = regions.late_writes(table)
        check.measure(say("strays"), late.count, NONE,
            of=listed(say("rows were written in DR after the switch, before it was fenced"),
            late.named(say("the original"), "DR")))  # fmt: skip


@SWITCHBACK(
    "7-2/sync",
    id="switchback.lag",
    ko="DR 스탠바이의 복제 지연이 한계 이내인가",
    en="The DR standby shows what the original region writes, within the limit",
    where=(say("DR standby"), dr_is_standby),
)
def test_lag(check, regions):
    """Measured by a write, not read from a view: replication that hangs can report no lag at all."""
    _ = regions.servers
    limit = check.limits.replication_lag
    lag = regions.lag(limit.bound)
    if not lag.arrived:
        check.fail(say("after {elapsed_s} the DR region still lacks {behind_bytes} of WAL, limit {text}; look "
            "at its log, and at pg_get_wal_replay_pause_state()", elapsed_s=quantity(lag.elapsed_s, "s"),
            behind_bytes=quantity(lag.behind_bytes, "bytes"), text=limit.text))  # fmt: skip
    check.measure(say("replay lag"), lag.elapsed_s, limit, of=say("until the DR region showed what was written"))


@SWITCHBACK(
    "7-2/sync",
    "7-5/close",
    id="switchback.one_primary",
    ko="쓰기 가능한 프라이머리가 원 리전 하나뿐인가",
    en="The original region is the only primary",
)
def test_one_primary(check, regions):
    """Two primaries take different writes, and one side's must be discarded or merged by hand."""
    with check.must_answer(say("database of the original region")):
        original = regions.original.server()
    # No answer does not prove that it is down: it may serve other clients.
    dr = regions.dr.server()
    _ = regions.servers
    primaries = [name for name, server in (("original", original), ("dr", dr)) if not server.in_recovery]
    if not check.expect(say("primaries"), ", ".join(primaries) or "none", "original"):
        check.fail(say("primaries: {value}, expected the original region alone; stop the other one, or make it "
            "a standby, before anything more is written", value=" and ".join(primaries) or say("none")))  # fmt: skip
    check.expect(say("the original region takes writes"), not original.read_only, expected=True)
    if blocked := commits_blocked(regions.original):
        check.fail(say("every commit of the original region waits: {blocked}; connect one, or empty the setting",
            blocked=blocked))  # fmt: skip


@SWITCHBACK(
    "7-4/verify",
    id="switchback.consistency",
    ko="데이터 정합성 샘플링: 이전 데이터가 양쪽에서 같은가",
    en="Consistency sampled: older rows are the same in both regions",
)
@per("table", core_tables, name=lambda table: table.name, what=say("core table"))
def test_consistency(check, regions, table):
    """Random rows of before the outage, drawn in each region and compared with the other one."""
    _ = regions.servers
    found = regions.compare_sample(table, SAMPLE)
    if not found.rows:
        raise Inconclusive(say("{name}: no row of before the outage was drawn; check that {changed} is filled in",
            name=table.name, changed=table.changed))  # fmt: skip
    check.attach("sample", f"seed {regions.seed}: about {SAMPLE} rows a region, {found.rows} different keys")
    check.measure(say("rows apart"), found.count, NONE, samples=found.rows,
        of=listed(say("of {rows:,} sampled rows differ", rows=found.rows), found.named(say("the original region"),
        "DR")))  # fmt: skip


@SWITCHBACK(
    "7-4/verify",
    id="switchback.schema",
    ko="스키마·권한·트리거·시퀀스가 양쪽에서 같은가",
    en="Schema, grants, triggers and sequences are the same in both regions",
)
def test_schema(check, regions):
    """Rows may be complete, and the application may still be refused by a missing right or key."""
    _ = regions.servers
    different = regions.catalog_differences()
    check.attach("differences", "\n".join(different))
    check.measure(
        say("differences"), len(different), NONE, of=listed(say("objects of the original region differ"), different)
    )
    follows = regions.timeline("dr") == regions.timeline("original")
    behind = sequences_behind(regions.original, regions.dr, follows=follows)
    check.measure(
        say("sequences behind"), len(behind), NONE, of=listed(say("sequences of the original region"), behind)
    )


@SWITCHBACK(
    "7-4/verify",
    id="switchback.cache",
    needs=("regions", "redis"),
    severity="sev2",
    ko="원 리전의 캐시가 비워지고 다시 채워졌는가",
    en="The original region's cache was cleared and fills again",
)
def test_cache(check, regions, redis):
    """Judgments cached before the outage are outdated."""
    ages = measure_cached_since(check, redis, regions.switched_at).ages_s
    # Younger ones may be those of this stage's own smoke.
    since_s = elapsed_s(regions.run_started)
    check.measure(
        say("cached"), sum(age > since_s for age in ages), AT_ALL, of=say("judgments cached between switch and stage")
    )


@SWITCHBACK(
    "7-5/close",
    id="switchback.dr_side",
    severity="sev2",
    ko="DR 리전이 선택대로 대기하거나 축소되었는가",
    en="The DR region is on standby, or reduced, as chosen",
)
def test_dr_side(check, regions):
    """A DR region that follows no primary cannot take over next time."""
    regions.require_two_servers()
    check.expect(say("DR database in recovery"), regions.dr.server().in_recovery, expected=True)
    slots = dead_slots(regions.original)
    check.measure(
        say("dead slots"), len(slots), NONE, of=listed(say("replication slots of the original region"), slots)
    )
    if not dr_is_standby(check.target):
        return
    receiving = [row.status for row in regions.wal_receiver()]
    check.expect(say("DR database receives WAL"), ", ".join(receiving) or say("no WAL receiver"), "streaming")
    streaming = [replica.name for replica in regions.original.replicas() if replica.state == "streaming"]
    check.measure(say("standbys"), len(streaming), AT_ALL, of=listed(say("standbys of the original region"), streaming))
    without = standbys_without_slot(regions.original)
    of = listed(say("standbys without a replication slot, and wal_keep_size = 0"), without)
    check.measure(say("standbys without slot"), len(without), NONE, of=of)


@SWITCHBACK(
    "7-5/close",
    id="switchback.report",
    severity="sev3",
    ko="보고서가 작성되었는가 (다운타임/영향/조치)",
    en="The report is written: downtime, impact, actions",
)
def test_report(check, switchback_report):
    """A switchback without a report teaches nothing for the next one."""
    check.attach("report", switchback_report.text)
    check.measure(say("reported"), switchback_report.after_s, Limit(">=", 0, "s"), of=say("after the switch, {summary}",
        summary=switchback_report.summary))  # fmt: skip
