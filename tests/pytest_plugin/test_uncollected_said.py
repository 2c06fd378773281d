"""Files that cannot be collected: named with their line, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite


def test_a_file_that_hides_its_checks_is_named_with_its_line(suite: Suite) -> None:
    """Whoever reads Korean reads all of it but pytest's own words, and knows where to look."""
    suite.checks("broken", "def test_x(:\n    pass\n")
    suite.checks("skipped", 'pytest.skip("later", allow_module_level=True)\n')
    line = (suite.root / "checks" / "test_broken.py").read_text().splitlines().index("def test_x(:") + 1
    ran = suite.run()
    assert ran.verdict is not None, ran
    broken = next(reason for reason in ran.verdict["reasons"] if reason.startswith("checks/test_broken.py: "))
    assert "cannot be collected, its checks are unknown: " in broken
    assert broken.endswith(f"SyntaxError: invalid syntax (line {line})"), broken
    korean = "\n".join(ran.verdict["reasons_ko"])
    assert f"(줄 {line})" in korean
    assert "checks/test_broken.py: 수집 불가, 어떤 점검이 있는지 알 수 없음: " in korean
    assert "checks/test_skipped.py: 파일 전체를 건너뜀: Skipped: later" in korean
    assert "cannot be collected" not in korean
