"""`opsverify completion SHELL`: a script by which a shell completes commands, stages, options, targets and faults."""

from __future__ import annotations

import sys
import tomllib
from typing import TYPE_CHECKING, Final

from opsverify.cli.main import COMMANDS
from opsverify.cli.parser import CommandParser, add_commands, commands_of, options_in
from opsverify.config.project import SUITES_ROOT
from opsverify.core.stages import STAGES
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

SHELLS: Final = ("bash", "zsh", "fish")
_STAGED: Final = ("verify", "plan", "fleet")
_BASH: Final = """\
_opsverify() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} words=
    case $prev in
    --target) COMPREPLY=($(compgen -W "$(ls targets/*.toml 2>/dev/null | sed 's,.*/,,; s,[.]toml$,,')" -- "$cur") \\
        $(compgen -f -X '!*.toml' -- "$cur")); return ;;
    --language) COMPREPLY=($(compgen -W 'ko en' -- "$cur")); return ;;
    fault) COMPREPLY=($(compgen -W '{faults}' -- "$cur")); return ;;
    esac
    case "${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}" in
{cases}
    *) words='{commands}' ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _opsverify opsverify ./run
"""
_ZSH: Final = "autoload -U +X compinit && compinit -u\nautoload -U +X bashcompinit && bashcompinit\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "shell", choices=SHELLS, metavar="SHELL", help=say("the shell: {shells}", shells=", ".join(SHELLS))
    )


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print the script."""
    words = dict(_words())
    if options.shell == "fish":
        sys.stdout.write("".join(f"{line}\n" for line in _fish(words)))
        return 0
    cases = "\n".join(f"    '{path}'*) words='{' '.join(found)}' ;;" for path, found in _deepest_first(words))
    script = _BASH.format(faults=" ".join(_faults()), cases=cases, commands=" ".join(words[""]))
    sys.stdout.write((_ZSH if options.shell == "zsh" else "") + script)
    return 0


def _words() -> Iterator[tuple[str, list[str]]]:
    """For each command, as `dr mark `, the words that may follow it; for no command, the commands."""
    root = CommandParser("opsverify")
    add_commands(root, COMMANDS, "COMMAND")
    yield "", [*COMMANDS, "--help", "--version"]
    for name, parser in commands_of(root).items():
        parser.declare()
        verbs = commands_of(parser)
        yield f"{name} ", [*(STAGES if name in _STAGED else ()), *verbs, *options_in(parser)]
        for verb, below in verbs.items():
            below.declare()
            yield f"{name} {verb}", options_in(below)


def _deepest_first(words: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    return sorted(((path, found) for path, found in words.items() if path), key=lambda entry: -len(entry[0].split()))


def _fish(words: dict[str, list[str]]) -> Iterator[str]:
    yield f"complete -c opsverify -f -n __fish_use_subcommand -a '{' '.join(words[''])}'"
    for path, found in words.items():
        if path:
            seen = " ".join(f"; and __fish_seen_subcommand_from {word}" for word in path.split())
            yield f"complete -c opsverify -f -n 'not __fish_use_subcommand{seen}' -a '{' '.join(found)}'"
    yield "complete -c opsverify -l target -r -a '(path basename -E targets/*.toml; __fish_complete_suffix .toml)'"
    yield f"complete -c opsverify -f -n '__fish_seen_subcommand_from fault' -a '{' '.join(_faults())}'"


def _faults() -> list[str]:
    """The faults of the sandbox, where there is one."""
    path = SUITES_ROOT / "sandbox" / "faults.toml"
    return sorted(tomllib.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []
