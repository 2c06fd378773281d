"""Page checksums of a restored cluster: verified where there are any, and compared with production where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.recovery.verify.amcheck import check_checksums
from tests.support.primary import owned, primary, server_tools

if TYPE_CHECKING:
    from pathlib import Path


def test_a_cluster_without_checksums(open_folder: Path, scratch: Path) -> None:
    """As in production it is no fault of the backup; where production has them, or nobody knows, it is no pass."""
    tools, account = server_tools(18, open_folder)
    home = owned(scratch / "plain", account)
    data = home / "data"
    with primary(tools, account, home, {"archive_command": "true"}) as server:
        on = check_checksums(server, data)
        assert (on.asked, on.problems, on.unknown) == (1, (), None)
        tools.succeed("pg_checksums", "--disable", "--no-sync", "-D", data, account=account)
        known = check_checksums(server, data, in_production=False)
        assert (known.asked, known.problems, known.unknown) == (1, (), None)
        assert "whose pages have no checksums either" in known.of
        for recorded in (None, True):
            found = check_checksums(server, data, in_production=recorded)
            assert found.asked == 0
            assert "not enabled" in str(found.unknown)
