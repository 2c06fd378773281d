"""Runbook 2-1 and 5-6: representative journeys through the whole platform, one row of `journeys.toml` each."""

from operator import attrgetter

from opsverify import journeys_of, per, say


@per("journey", journeys_of, name=attrgetter("name"), what=say("smoke journey"))
def test_journey(journey_runner, journey):
    """Each step of the journey has its expected result in time; the rows that it wrote are removed."""
    for step in journey.steps:
        if not journey_runner.run_step(step):
            break
