"""The declared list: written once, read with every mistake named, and any set of rights survives being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.errors import EvidenceError, TargetError
from opsverify.rights.declared import load, write_new
from opsverify.rights.objects import GRANT_OPTION, PRIVILEGES, ObjectIndex, parse_line

if TYPE_CHECKING:
    from pathlib import Path

NAMES = tuple(f"{schema}.t{number}" for schema in ("s", "u") for number in range(4))


def index_of() -> tuple[ObjectIndex, tuple[int, ...]]:
    """Eight tables in two schemas, of which the last one is a partition of the first."""
    index = ObjectIndex()
    parents = (None,) * 7 + ("TABLE s.t0",)
    bits = tuple(index.add("TABLE", name, name[0], parent) for name, parent in zip(NAMES, parents, strict=True))
    return index, (*bits, index.add("DATABASE", "shop"))


def test_a_list_is_never_overwritten(tmp_path: Path) -> None:
    """The second one finds the first, and leaves it; no draft stays behind."""
    path = tmp_path / "rights.toml"
    write_new(path, "one")
    with pytest.raises(EvidenceError, match="is there already; nothing was written"):
        write_new(path, "two")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    """File, role, and the expected form."""
    path = tmp_path / "rights.toml"
    path.write_text(
        'schema = "x"\n[roles.a]\nrights = ["READ ON TABLE t"]\n[roles.b]\nmember_of = ["c"]\n[roles.d]\nright = []\n'
        "[roles.e]\nrights = 5\n"
    )
    with pytest.raises(TargetError) as caught:
        load(path)
    found = "\n".join(caught.value.problems)
    for part in (
        "schema is 'x'; expected 'opsverify.rights/1'",
        "role a: 'READ ON TABLE t' is no right: expected a form such as 'SELECT, INSERT ON TABLE public.orders'",
        "role b: member_of: 'c'; expected a form such as 'app_readers: INHERIT, SET'",
        "role d: expected a table with the keys attributes, member_of, rights",
        "role e: rights: expected a list of texts",
    ):
        assert part in found
    assert len(caught.value.problems) == 5


@given(
    st.dictionaries(
        st.sampled_from([*PRIVILEGES, *(GRANT_OPTION + one for one in PRIVILEGES)]),
        st.integers(min_value=1, max_value=(1 << 9) - 1),
    )
)
def test_lines_say_exactly_what_is_held(held: dict[str, int]) -> None:
    """Written and read again, a set of rights is the same, with what is reached through it."""
    index, _ = index_of()
    again: dict[str, int] = {}
    for line in index.lines(held):
        privileges, target = parse_line(line)
        for privilege in privileges:
            again[privilege] = again.get(privilege, 0) | (index.find(target) or 0)
    assert {name: index.with_parts(bits) for name, bits in again.items()} == {
        name: index.with_parts(bits) for name, bits in held.items()
    }


def test_a_schema_of_one_table_is_no_whole_schema() -> None:
    """Its line names the table: tables to come are not declared by it."""
    index = ObjectIndex()
    one = index.add("TABLE", "s.only", "s")
    assert index.lines({"SELECT": one}) == ("SELECT ON TABLE s.only",)
    assert index.find("ALL TABLES IN SCHEMA gone") == 0
    assert index.find("TABLE s.gone") is None
