"""Runbook 5, sample SQL after DR: restored data equals what the ledger recorded before the disaster.

The windows end at the recovery target, not at now(): a count of "the last day" taken hours later would cover another
window. The queries are in `sql/` and in [recovery] validations of a target; their headers say what is compared.
"""

from operator import attrgetter

from opsverify import per, say, validation_rows


@per("row", validation_rows, name=attrgetter("spec.id"), what=say("SQL validations"))
def test_sql(check, recorded_data, row):
    """Every key of the recorded window is present, with the values it had."""
    recorded_data.compare(check, row.name, row.group)
