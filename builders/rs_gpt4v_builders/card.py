"""Fills the tables of ``dataset_card.md`` from the code, so that they cannot drift from it.

python -m rs_gpt4v_builders.card dataset_card.md
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from rs_gpt4v.source import Source
from rs_gpt4v_builders import CONFIGS
from rs_gpt4v_builders.table1 import TABLE_1

_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(card: str) -> str:
    """``card`` with each ``<!-- table: NAME --> ... <!-- end -->`` made anew."""
    return _MARKED.sub(lambda m: f"{m[1]}{_TABLES[m[2]]()}{m[3]}", card)


def _sources() -> str:
    sources: dict[str, Source] = {c.source.name: c.source for c in CONFIGS.values()}
    rows = [
        f"| [{s.title}]({s.homepage}) | {_configs(s)} | {s.license} |" for s in sources.values()
    ]
    return _table("| source | configs | licence |", rows)


def _configs(source: Source) -> str:
    return ", ".join(f"`{name}`" for name, config in CONFIGS.items() if config.source is source)


def _counts() -> str:
    rows = [
        f"| {line.task} | `{line.config}` | {line.split} | {line.images:,} | {line.pairs:,} |"
        for line in TABLE_1
    ]
    return _table("| task | config | split | images | question-answer pairs |", rows)


def _table(head: str, rows: list[str]) -> str:
    columns = head.count("|") - 1
    return "\n".join([head, "|" + "---|" * columns, *rows]) + "\n"


_TABLES: dict[str, Callable[[], str]] = {"sources": _sources, "counts": _counts}


def main(path: Path) -> None:
    """Rewrite the tables of the card at ``path``."""
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
