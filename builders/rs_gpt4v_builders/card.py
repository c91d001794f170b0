"""What the data's cards say; fills the tables of ``dataset_card.md`` and the README with it.

python -m rs_gpt4v_builders.card README.md dataset_card.md
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from rs_gpt4v_builders import CONFIGS, DEFAULT_CONFIG, GROUPS, config_of, members
from rs_gpt4v_builders.sources.source import Source
from rs_gpt4v_builders.stats.table1 import TABLE_1

# In the text HTML comments, in the head those of YAML.
_MARKED = re.compile(r"((?:<!--|#) (?:table|text): (\w+)(?: -->)?\n).*?((?:<!--|#) end)", re.DOTALL)


def filled(card: str) -> str:
    """``card`` with each ``<!-- table: NAME --> ... <!-- end -->`` (or "text") made anew."""
    return _MARKED.sub(lambda m: f"{m[1]}{_PARTS[m[2]]()}{m[3]}", card)


def sources_table(configs: Iterable[str] = tuple(CONFIGS)) -> str:
    """The sources of ``configs`` (no groups), with home page and licence, as a Markdown table."""
    of_source: dict[str, tuple[Source, list[str]]] = {}
    for name in configs:
        source = config_of(name).source
        of_source.setdefault(source.name, (source, []))[1].append(f"`{name}`")
    rows = [
        f"| [{source.title}]({source.homepage}) | {', '.join(names)} | {source.license} |"
        for source, names in of_source.values()
    ]
    return _table("| source | configs | licence |", rows)


def _rows() -> str:
    rows = [
        f"| `{name}` | [{config.source.title}]({config.source.homepage}) | {config.rows} |"
        for name, config in CONFIGS.items()
    ]
    return _table("| config | source | rows: train / validation / test |", rows)


def _configs() -> str:
    """The YAML that tells `datasets` the files of an export; a group has those of its members."""
    lines = ["configs:"]
    for name in (*CONFIGS, *GROUPS):
        lines += [f"- config_name: {name}", *(["  default: true"] * (name == DEFAULT_CONFIG))]
        lines.append("  data_files:")
        for split, files in _files(name).items():
            lines += [f"  - split: {split}", "    path:", *(f"    - {file}" for file in files)]
    return "\n".join(lines) + "\n"


def _files(name: str) -> dict[str, list[str]]:
    """The files of each split of a config or group."""
    files: dict[str, list[str]] = {}
    for member in members(name):
        for split in CONFIGS[member].splits("paper"):
            files.setdefault(split, []).append(f"{member}-{split}.parquet")
    return files


def _counts() -> str:
    rows = [
        f"| {line.task} | `{line.config}` | {line.split} | {line.images:,} | {line.pairs:,} |"
        for line in TABLE_1
    ]
    return _table("| task | config | split | images | question-answer pairs |", rows)


def _table(head: str, rows: list[str]) -> str:
    columns = head.count("|") - 1
    return "\n".join([head, "|" + "---|" * columns, *rows]) + "\n"


USE = """\
Fine-tuning and evaluating vision-language models on overhead images: captioning, question
answering, and where the sources are at hand grounding and dialogue. The test splits are those of
the sources, for comparison with published numbers.
"""

LIMITS = """\
* Places: mostly the United States (UC Merced, USGS), the Netherlands (RSVQA-LR), and cities in view
  of Google Earth. Models tuned on them need not work elsewhere.
* Questions of RSVQA are generated from OpenStreetMap by templates: its gaps and ages are answered
  as truth. Many answers are guessed well from the question alone; compare with a blind baseline, as
  `rs-gpt4v report` does.
* Captions repeat themselves: RSICD pads to five by repeating, and a few captions are blank (" .").
  They are kept as released.
* Images occur in several sources (UC Merced in UCM-Captions and RSIVQA, RSICD in RSIVQA): mind what
  you train on when you test.
* Optical images only.
* Not for decisions about people, their property or their safety.
"""

PAPER = """\
@article{xu2024rsgpt4v,
  title={RS-GPT4V: A unified multimodal instruction-following dataset for remote sensing image
    understanding},
  author={Xu, Linrui and Zhao, Ling and Guo, Wang and Li, Qiujuan and Long, Kewang and Zou, Kaiqi
    and Wang, Yuhan and Li, Haifeng},
  journal={arXiv preprint arXiv:2406.12479},
  year={2024}
}
"""
"""BibTeX of RS-GPT4V itself."""


_PARTS: dict[str, Callable[[], str]] = {
    "configs": _configs,
    "rows": _rows,
    "sources": sources_table,
    "counts": _counts,
    "use": lambda: USE,
    "limits": lambda: LIMITS,
    "paper": lambda: f"```bibtex\n{PAPER}```\n",
}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for page in map(Path, sys.argv[1:]):
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
