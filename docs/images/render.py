"""Picture of a command's output: `python docs/images/render.py TEXT PICTURE.svg [TITLE]`."""  # noqa: INP001 - a script

import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text


def main(output: Path, picture: Path, title: str) -> None:
    """Write `output` (plain or with ANSI colours) to `picture`, as wide as its longest line."""
    text = Text.from_ansi(output.read_text(encoding="utf-8").rstrip())
    text.highlight_regex(r"\b(PROMOTE|ACCEPT|promote|accept|pass|ok)\b", "bold green")
    text.highlight_regex(r"\b(ROLLBACK|REJECT|FAIL|rollback|reject)\b", "bold red")
    text.highlight_regex(r"\b(HOLD|hold)\b", "bold yellow")
    width = max(line.cell_len for line in text.split("\n"))
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=width, file=nowhere)
        console.print(text)
    # Rich refers to a web font; the picture uses the reader's own.
    svg = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title=title), flags=re.DOTALL)
    picture.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), " ".join(sys.argv[3:]) or "opsverify")
