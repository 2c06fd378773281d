"""Own runbook line: the database's clock."""

import time

from opsverify import Limit, runbook

CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8 AS at"
DIFFERENCE = Limit.parse("<= 2 s", "s")


@runbook(
    "own/clock",
    id="own.database_clock",
    stages=("daily",),
    needs=("postgres",),
    severity="sev3",
    ko="데이터베이스 시각 차이",
    en="Difference of the database's clock",
)
def test_database_clock(check, postgres):
    """Events of two clocks cannot be put in order."""
    check.measure("clock difference", abs(postgres.row(CLOCK).at - time.time()), DIFFERENCE)
