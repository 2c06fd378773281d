"""Personal data: found in the forms people write, and not in numbers of lots, equipment and lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from opsverify.llmops.personal_data import personal_data


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("제 주민번호는 900101-1234567 입니다", "registration number"),
        ("9001011234567", "registration number"),
        ("010-1234-5678로 전화 주세요", "phone number"),
        ("01012345678", "phone number"),
        ("010 1234 5678", "phone number"),
        ("010.1234.5678", "phone number"),
        ("+82 10-1234-5678", "phone number"),
        ("02-123-4567로 연락", "phone number"),
        ("(031) 123-4567", "phone number"),
        ("카드 4111-1111-1111-1111 결제", "card number"),
        ("4111 1111 1111 1111", "card number"),
        ("국민은행 123456-01-234567로 입금", "account number"),
        ("계좌 110-123-456789", "account number"),
    ],
)
def test_found(text: str, kind: str) -> None:
    """One kind each."""
    assert kind in personal_data(text)


@pytest.mark.parametrize(
    "text",
    [
        "LOT-20261128-0012 불량률 분석해줘",
        "로트 2026112800123 조회",
        "설비 EQ-0103-2201 상태",
        "L03 라인 생산량 2571",
        "SN 4111-1111-1111-1112",
        "작업지시 WO-010-1234-5678",
        "배치 123456-01-234567 수율",
        "991332-1234567",
        "2026-11-28 13:05 알람",
        "",
    ],
)
def test_numbers_of_the_plant_are_none(text: str) -> None:
    """Nothing is taken for what it is not."""
    assert personal_data(text) == frozenset()


@given(some.integers(0, 9999), some.integers(0, 9999), some.sampled_from(["-", " ", ".", ""]))
def test_every_mobile_number(middle: int, last: int, gap: str) -> None:
    """Whatever its digits and its separators, inside a sentence."""
    assert "phone number" in personal_data(
        f"담당자 010{gap}{middle:04}{gap}{last:04}입니다".replace("입니다", " 입니다")
    )
