"""Large objects of a database: how many, how many bytes, and a hash over the content of all.

Reading their content takes the rights of their owners or of a superuser: without it the number is recorded, which
every role may count. Owners and grants are the catalog's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.recovery.ledger.queries import Source

FORM: Final = 2
"""Of the hash: content that was hashed in another form is not compared."""
_READABLE: Final = "SELECT has_table_privilege('pg_largeobject', 'SELECT')"
_COUNT: Final = "SELECT count(*) AS objects, 0 AS pages, 0 AS size, 0 AS total, 0 AS xored FROM pg_largeobject_metadata"
# What reads as zeros counts as zeros, whether a page holds them or is not there: a dump fills the holes of an object.
_ALL: Final = """
WITH whole AS (SELECT decode(repeat('00', current_setting('block_size')::int / 4), 'hex') AS zeros),
stored AS (
  SELECT loid, pageno, length(data) AS bytes, data || substr(zeros, length(data) + 1) AS data, zeros
    FROM pg_largeobject, whole
),
hashed AS (
  SELECT 1 AS pages, hash_record_extended(ROW(loid::int8, pageno, data), 0) AS hash, 0::int8 AS size
    FROM stored WHERE data <> zeros
   UNION ALL
  SELECT 0, hash_record_extended(ROW(loid::int8, size), 1), size
    FROM (SELECT loid, max(pageno::int8 * length(zeros) + bytes) AS size FROM stored GROUP BY loid) objects
)
SELECT (SELECT count(*) FROM pg_largeobject_metadata) AS objects, coalesce(sum(pages), 0)::int8 AS pages,
       coalesce(sum(size), 0)::int8 AS size, coalesce(sum(hash), 0) AS total, coalesce(bit_xor(hash), 0) AS xored
  FROM hashed
"""


@dataclass(frozen=True)
class LargeObjects:
    """`objects`, their `size` in bytes, sum and xor of their pages' hashes; `content` is whether that could be read."""

    objects: int
    content: bool
    pages: int = 0
    size: int = 0
    total: str = "0"
    xored: str = "0"
    form: int = 1

    def to_dict(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> LargeObjects:
        """Read what `to_dict` gave."""
        return cls(**raw)


def read_large_objects(source: Source) -> LargeObjects:
    """Count the large objects, and hash what they hold where the role may read it."""
    ((readable,),) = source(_READABLE, {})
    ((objects, pages, size, total, xored),) = source(_ALL if readable else _COUNT, {})
    return LargeObjects(int(objects), bool(readable), int(pages), int(size), str(total), str(xored), FORM)
