"""Words of ours in Allure's page: `not measured` for its broken, `not applicable` for its skipped; no success rate."""

from __future__ import annotations

import base64
import re
from typing import Final

_BUNDLE: Final = re.compile(r'(src="data:text/javascript;base64,)([A-Za-z0-9+/=]+)"')
_TEXTS: Final = {
    "en": (
        (
            '"statuses":{"passed":"passed","failed":"failed","broken":"broken","skipped":"skipped"',
            '"statuses":{"passed":"passed","failed":"failed","broken":"not measured","skipped":"not applicable"',
        ),
    ),
    "ko": (
        (
            '"statuses":{"passed":"통과","failed":"실패","broken":"손상됨","skipped":"건너뜀"',
            '"statuses":{"passed":"통과","failed":"실패","broken":"측정 불가","skipped":"해당 없음"',
        ),
        ('"sections":{"report":"Report","charts":"그래프"', '"sections":{"report":"보고서","charts":"그래프"'),
        (
            (
                '"resolution":"Resolution","resolutions":{"issue":"Issue","muted":"Muted","accepted":"Accepted"}},'
                '"sort-by":{"sort-by-text":"정렬 기준:'
            ),
            (
                '"resolution":"처리","resolutions":{"issue":"이슈","muted":"음소거","accepted":"승인"}},'
                '"sort-by":{"sort-by-text":"정렬 기준:'
            ),
        ),
    ),
}
"""Parts of Allure's texts, and what they become; a later Allure with other texts keeps its own."""
_STYLE: Final = """<style>
article[class*="styles_chart__"], [data-testid="report-data"] { display: none !important; }
@media print { [data-testid="base-layout"] { overflow: visible !important; height: auto !important; } }
</style>
"""
"""A ring with 98 % on a rejected run says the opposite of its decision; the summary has the date, in its language."""


def use_own_words(html: str, language: str) -> str:
    """Allure's page with the words of a verdict in `ko` or `en`, and without its ring."""

    def replaced(bundle: re.Match[str]) -> str:
        script = base64.b64decode(bundle[2]).decode("utf-8")
        if not any(theirs in script for theirs, _ in _TEXTS[language]):
            return bundle[0]
        for theirs, ours in _TEXTS[language]:
            script = script.replace(theirs, ours)
        return f'{bundle[1]}{base64.b64encode(script.encode()).decode()}"'

    return _BUNDLE.sub(replaced, html).replace("</head>", f"{_STYLE}</head>", 1)
