"""Words of ours in Allure's page: `not measured` for its broken, `not applicable` for its skipped; no success rate."""

from __future__ import annotations

import base64
import re
from typing import Final

_BUNDLE: Final = re.compile(r'(src="data:text/javascript;base64,)([A-Za-z0-9+/=]+)"')
_STATUSES: Final = {
    "en": (
        '"statuses":{"passed":"passed","failed":"failed","broken":"broken","skipped":"skipped"',
        '"statuses":{"passed":"passed","failed":"failed","broken":"not measured","skipped":"not applicable"',
    ),
    "ko": (
        '"statuses":{"passed":"통과","failed":"실패","broken":"손상됨","skipped":"건너뜀"',
        '"statuses":{"passed":"통과","failed":"실패","broken":"측정 불가","skipped":"해당 없음"',
    ),
}
"""A part of Allure's texts, and what it becomes; a later Allure with other texts keeps its own."""
_STYLE: Final = """<style>
article[class*="styles_chart__"], [data-testid="report-data"] { display: none !important; }
@media print { [data-testid="base-layout"] { overflow: visible !important; height: auto !important; } }
</style>
"""
"""A ring with 98 % on a rejected run says the opposite of its decision; the summary has the date, in its language."""


def use_own_words(html: str, language: str) -> str:
    """Allure's page with the words of a verdict in `ko` or `en`, and without its ring."""
    theirs, ours = _STATUSES[language]

    def replaced(bundle: re.Match[str]) -> str:
        script = base64.b64decode(bundle[2]).decode("utf-8")
        if theirs not in script:
            return bundle[0]
        return f'{bundle[1]}{base64.b64encode(script.replace(theirs, ours).encode()).decode()}"'

    return _BUNDLE.sub(replaced, html).replace("</head>", f"{_STYLE}</head>", 1)
