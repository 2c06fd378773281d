"""Did the data come back: the full ledger's tables, catalog and pages, and what a restore must fulfil beside it.

Everything here asks a database through a `Source` (one SQL text with parameters, rows out) and knows neither
pytest nor psycopg. Statements hold no percent sign, because sources differ in whether it has to be doubled.
"""

from opsverify.recovery.returned.buckets import Bucket, Span, read_buckets
from opsverify.recovery.returned.catalog import KINDS, Catalog, read_catalog
from opsverify.recovery.returned.core import CoreTable, discover
from opsverify.recovery.returned.finding import Compared, Finding
from opsverify.recovery.returned.history import History, TableHistory
from opsverify.recovery.returned.record import record_more
from opsverify.recovery.returned.sampling import bound, draw, draws_needed

__all__ = [
    "KINDS",
    "Bucket",
    "Catalog",
    "Compared",
    "CoreTable",
    "Finding",
    "History",
    "Span",
    "TableHistory",
    "bound",
    "discover",
    "draw",
    "draws_needed",
    "read_buckets",
    "read_catalog",
    "record_more",
]
