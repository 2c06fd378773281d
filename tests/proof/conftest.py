"""Part of the proof: with `OPSVERIFY_PROOF_PART=1/2` every second row of the sandbox and the shop, the others with 2/2.

For a machine on which the whole proof would not end in time; without the variable every row runs.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

VARIABLE: Final = "OPSVERIFY_PROOF_PART"
_INDEPENDENT: Final = ("tests/proof/test_faults.py", "tests/proof/test_shop.py")
"""Modules whose rows do not build upon each other, as those of the two regions do."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the rows of the other parts. Raises UsageError for a value that is no part."""
    given = os.environ.get(VARIABLE)
    if given is None:
        return
    number, _, parts = given.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise pytest.UsageError(f"{VARIABLE}={given}: expected a part such as 1/2")
    rows = sorted(item.nodeid for item in items if item.nodeid.startswith(_INDEPENDENT))
    left_out = {nodeid for index, nodeid in enumerate(rows) if index % int(parts) != int(number) - 1}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
    items[:] = [item for item in items if item.nodeid not in left_out]
