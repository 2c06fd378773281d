"""Faults of a shop: application, processes, and objects or rows that a database lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal, Protocol

from opsverify.language.message import join, say
from sandbox.errors import SandboxError
from sandbox.home import Control

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.home import ControlState, Settings
    from sandbox.shop.cluster import ShopCluster
    from sandbox.started import Started


class Broken(Protocol):
    """What a fault changes: the shop of one home."""

    home: Path

    @property
    def settings(self) -> Settings:
        """Ports and folders."""

    @property
    def cluster(self) -> ShopCluster:
        """Its PostgreSQL."""

    def start(self, name: str) -> Started:
        """Start a component."""

    def wait(self, name: str, running: Started) -> None:
        """Wait until it serves."""

    def stop(self, name: str) -> None:
        """Stop a component."""

    def settle(self) -> None:
        """Wait until Prometheus has scraped everything."""

    def wait_missed(self, name: str) -> None:
        """Wait until Prometheus has missed a component that was stopped."""


@dataclass(frozen=True, slots=True)
class ShopFault:
    """One thing that can be broken.

    `app`: the application does it for the release in scope. `process`: `name` minus `_down` is stopped. `sql`: `on` and
    `off` are run by the superuser. `rows`: the rows of `table` with `where` are taken away, and kept to be put back.
    """

    name: str
    kind: Literal["app", "process", "sql", "rows"]
    ko: str
    en: str
    scopes: tuple[str, ...] = ("all",)
    on: str = ""
    off: str = ""
    table: str = ""
    where: str = ""


_RELEASES: Final = ("all", "canary", "stable")
_FAULTS: Final = (
    ShopFault("errors", "app", "요청의 20%가 실패한다", "20 % of the requests fail", _RELEASES),
    ShopFault("slow", "app", "요청의 20%가 1.2초 느려진다", "20 % of the requests take 1.2 s longer", _RELEASES),
    ShopFault("canary_down", "process", "카나리가 멈춘다", "the canary is stopped"),
    ShopFault("postgres_down", "process", "PostgreSQL이 멈춘다", "PostgreSQL is stopped"),
    ShopFault("prometheus_down", "process", "Prometheus가 멈춘다", "Prometheus is stopped"),
    ShopFault("uuid_row_lost", "rows", "uuid 키 테이블의 행이 사라진다", "a row of a table keyed by uuid is lost",
              table="app.customers", where="id = (SELECT max(id::text)::uuid FROM app.customers c "
              "WHERE NOT EXISTS (SELECT FROM app.orders o WHERE o.customer = c.id))"),
    ShopFault("composite_row_lost", "rows", "복합 키 파티션의 행이 사라진다", "a row of a hash partition is lost",
              table="app.order_lines", where='"key" = 17'),
    ShopFault("keyless_row_lost", "rows", "키 없는 테이블의 행이 사라진다", "a row of a table without key is lost",
              table="app.scans", where="code = md5('77')"),
    ShopFault("odd_name_row_lost", "rows", "이름이 특이한 테이블의 행이 사라진다",
              "a row of a table with an odd name is lost",
              table='app."100% 할인 ""특가"""', where="true"),
    ShopFault("other_schema_row_lost", "rows", "다른 스키마의 행이 사라진다", "a row in another schema is lost",
              table='"재고 관리"."창고"', where="id = 7"),
    ShopFault("wide_row_lost", "rows", "400열 테이블의 행이 사라진다", "a row of a table of 400 columns is lost",
              table="app.wide", where="id = 30"),
    ShopFault("publication_lost", "sql", "발행(publication)이 사라진다", "a publication is dropped",
              on="DROP PUBLICATION feed", off="CREATE PUBLICATION feed FOR TABLE app.orders, app.products"),
    ShopFault("rule_lost", "sql", "규칙(rule)이 사라진다", "a rule is dropped",
              on="DROP RULE no_delete ON app.settings",
              off="CREATE RULE no_delete AS ON DELETE TO app.settings DO INSTEAD NOTHING"),
    ShopFault("policy_lost", "sql", "행 보안 정책이 사라진다", "a row security policy is dropped",
              on="DROP POLICY young ON app.customers",
              off="CREATE POLICY young ON app.customers FOR SELECT TO shop_support USING (born > '1990-01-01')"),
    ShopFault("exclusion_lost", "sql", "배타 제약이 사라진다", "an exclusion constraint is dropped",
              on="ALTER TABLE app.bookings DROP CONSTRAINT bookings_room_during_excl",
              off="ALTER TABLE app.bookings ADD EXCLUDE USING gist (room WITH =, during WITH &&)"),
    ShopFault("view_unpopulated", "sql", "구체화 뷰가 비어 있다", "a materialised view is left unpopulated",
              on="REFRESH MATERIALIZED VIEW app.revenue WITH NO DATA", off="REFRESH MATERIALIZED VIEW app.revenue"),
    ShopFault("sequence_behind", "sql", "시퀀스가 되돌아갔다", "a stand-alone sequence is set back",
              on="SELECT setval('app.ticket_numbers', 5001)", off="SELECT setval('app.ticket_numbers', 5036)"),
    ShopFault("event_trigger_lost", "sql", "이벤트 트리거가 사라진다", "an event trigger is dropped",
              on="DROP EVENT TRIGGER noted",
              off="CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION app.note_ddl()"),
    ShopFault("large_objects_lost", "sql", "대형 객체가 사라진다", "large objects are unlinked",
              on="SELECT lo_unlink(photo) FROM app.customers WHERE photo IS NOT NULL",
              off="SELECT lo_from_bytea(photo, decode(repeat(md5(email::text), 3), 'hex')) FROM app.customers "
              "WHERE photo IS NOT NULL"),
)  # fmt: skip
CATALOGUE: Final[Mapping[str, ShopFault]] = {fault.name: fault for fault in _FAULTS}


def switch(shop: Broken, name: str, scope: str | None, *, off: bool) -> None:
    """Switch one fault on for `scope` or off; what is so already stays so."""
    fault = _known(name)
    chosen = scope or fault.scopes[0]
    if chosen not in fault.scopes:
        raise SandboxError(
            say(
                "fault {name} has no scope {scope}: expected {known}",
                name=name,
                scope=chosen,
                known=join(say(" or "), fault.scopes),
            )
        )
    control = Control(shop.home)
    active = control.read().active(name)
    if fault.kind != "app" and active == off:
        _carry_out(shop, fault, on=not off)

    def change(state: ControlState) -> ControlState:
        others = {known: where for known, where in state.faults.items() if known != name}
        return replace(state, faults=others if off else others | {name: chosen})

    control.update(change)


def _known(name: str) -> ShopFault:
    try:
        return CATALOGUE[name]
    except KeyError as error:
        near = get_close_matches(name, CATALOGUE, n=1)
        listing = "'sandbox faults --profile shop'"
        hint = say("did you mean {name}?", name=near[0]) if near else say("{command} lists them", command=listing)
        raise SandboxError(say("unknown fault {name}: {hint}", name=name, hint=hint)) from error


def _carry_out(shop: Broken, fault: ShopFault, *, on: bool) -> None:
    if fault.kind == "process":
        _process(shop, fault.name.removesuffix("_down"), stopped=on)
    elif fault.kind == "sql":
        with shop.cluster.superuser() as connection:
            connection.execute((fault.on if on else fault.off).encode())
    else:
        _rows(shop, fault, taken=on)


def _process(shop: Broken, name: str, *, stopped: bool) -> None:
    if stopped:
        shop.stop(name)
        if name in _RELEASES:  # which Prometheus scrapes
            shop.wait_missed(name)
        return
    if name == "postgres":
        shop.cluster.start()
    else:
        shop.wait(name, shop.start(name))
    shop.settle()


def _rows(shop: Broken, fault: ShopFault, *, taken: bool) -> None:
    kept = shop.settings.data_dir / f"{fault.name}.copy"
    with shop.cluster.superuser() as connection, connection.cursor() as cursor:
        if taken:
            delete = f"COPY (DELETE FROM {fault.table} WHERE {fault.where} RETURNING *) TO STDOUT"  # noqa: S608 - ours
            with cursor.copy(delete.encode()) as copy:
                rows = b"".join(bytes(part) for part in copy)
            if not rows:
                raise SandboxError(
                    say("fault {name}: no row to take away in {table}", name=fault.name, table=fault.table)
                )
            kept.write_bytes(rows)
        else:
            with cursor.copy(f"COPY {fault.table} FROM STDIN".encode()) as copy:
                copy.write(kept.read_bytes())
            kept.unlink()
