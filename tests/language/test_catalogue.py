"""The catalogue: every message of the library and the suites is in it, with its parameters, and nothing else is."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

from opsverify.language import catalogue
from opsverify.language.catalogue import by_package
from tests.support.messages import fields_of, packages, said_in, unsaid_in
from tests.support.paths import REPOSITORY

WORDS = {
    r"샘플(?!링)": "표본",
    "스크랩": "수집",
    "시행": "시도",
    "선택자": "셀렉터",
    "증적": "증거",
    "베이스라인": "기준 버전",
    "타겟|타깃": "대상",
    "저니|여정": "시나리오",
    "스위트": "점검 모음",
    "(?<!오)경보(?! 카운트)": "알람",
    "비밀값": "비밀 값",
    "장애 분류": "심각도",
    "수용": "승인",
    "소유자": "담당자",
    r"\bpods?\b(?!\})": "파드",
    "합성 데이터": "시험 데이터",
}
"""Expressions of words that are not used, and the word that is.

`샘플링`, `오경보` and `경보 카운트` are the runbook's own.
"""


def test_entries_are_read_as_toml_has_them() -> None:
    """The catalogue's own reader takes a line for an entry: it finds what TOML says, and no key is there twice."""
    files = sorted(Path(catalogue.__file__).with_name("ko").glob("*.toml"))

    assert by_package() == {file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in files}


def test_every_say_has_a_literal_template_with_named_parameters() -> None:
    """A template from a variable or an f-string could not be found in the catalogue."""
    wrong = [
        said.place
        for paths in packages().values()
        for path in paths
        for said in said_in(path)
        if said.template is None or fields_of(said.template) != said.parameters
    ]
    assert not wrong


def test_every_message_has_a_korean_entry_in_the_file_of_its_package() -> None:
    """A message without an entry would reach its reader in English."""
    entries = by_package()
    missing = {
        f'{package}.toml: "{said.template}"  ({said.place})'
        for package, paths in packages().items()
        for path in paths
        for said in said_in(path)
        if said.template not in entries.get(package, {})
    }
    assert not sorted(missing)


def test_no_entry_is_unused() -> None:
    """An entry whose message is gone or was changed is found."""
    used = {
        package: {said.template for path in paths for said in said_in(path)} for package, paths in packages().items()
    }
    unused = [
        f"{package}.toml: {template}"
        for package, entries in by_package().items()
        for template in entries
        if template not in used.get(package, set())
    ]
    assert not unused


def test_both_languages_have_the_same_parameters() -> None:
    """A Korean text that leaves a measured value out, or asks for one that is not there, is found."""
    different = [
        template
        for entries in by_package().values()
        for template, korean in entries.items()
        if fields_of(template) != fields_of(korean)
    ]
    assert not different


def test_a_template_has_one_translation() -> None:
    """Two packages with the same English message say the same in Korean."""
    translations: dict[str, set[str]] = defaultdict(set)
    for entries in by_package().values():
        for template, korean in entries.items():
            translations[template].add(korean)
    assert not {template: found for template, found in translations.items() if len(found) > 1}


def test_korean_is_korean() -> None:
    """An entry with words has Korean ones: a template copied as it is has nothing but parameters and signs."""
    copied = [
        template
        for entries in by_package().values()
        for template, korean in entries.items()
        if re.search("[A-Za-z]{2}", re.sub(r"\{[^}]*\}", "", template)) and not re.search("[가-힣]", korean)
    ]
    assert not copied


def test_texts_for_people_are_messages() -> None:
    """An error, a measurement or a line of progress in English only is found."""
    assert not [place for paths in packages().values() for path in paths for place in unsaid_in(path)]


def test_a_term_has_one_korean_word() -> None:
    """A reader who meets two words looks for two things."""
    wrong = [
        f"{korean}: {used}"
        for entries in by_package().values()
        for korean in entries.values()
        for avoided, used in WORDS.items()
        if re.search(avoided, korean)
    ]
    assert not wrong


def test_korean_outside_the_catalogue_has_the_same_words() -> None:
    """Titles of checks and words of pages are beside their code."""
    wrong = [
        f"{path.relative_to(REPOSITORY)}: {node.value}: {used}"
        for folder in ("opsverify", "checks", "smoke", "dr_validation")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search("[가-힣]", node.value)
        for avoided, used in WORDS.items()
        if re.search(avoided, node.value)
    ]
    assert not wrong
