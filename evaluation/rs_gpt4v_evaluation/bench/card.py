"""Writes a bench's scores into the card of the adapter or model that it scored."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from rs_gpt4v.files import AnyPath, write_text
from rs_gpt4v_evaluation.bench.table import overview
from rs_gpt4v_evaluation.report.model_card import eval_results
from rs_gpt4v_evaluation.score import METRIC_OF_NAME
from rs_gpt4v_evaluation.score.results import Entry, Model, Results, read_results

_SECTION = re.compile(r"^## Scores\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def write_scores(folder: AnyPath, results: AnyPath) -> Path:
    """Put ``results`` into ``folder``'s README.md: as a table, and as metadata for the Hub.

    The section "Scores" is replaced, or added at the end. What else the card says stays.

    Args:
        folder: Of an adapter or a model, with its card.
        results: A results file, or the folder of a bench.

    Raises:
        ValueError: The scores are of another adapter or model.
        OSError: There is no card, or no results.
    """
    folder = Path(folder)
    results = Path(results)
    found = read_results(results)
    _refuse_others(folder, found["model"], results)
    file = folder / "README.md"
    card: Any = ModelCard.load(file, ignore_metadata_errors=True)
    card.text = "\n\n".join((_SECTION.sub("", card.text).strip("\n"), _section(found)))
    card.data.model_name = folder.resolve().name
    scored = (entry for entry in found["entries"] if entry["scores"])
    card.data.eval_results = [result for entry in scored for result in _metadata(entry)]
    write_text(file, str(card) + "\n")
    return file


def _refuse_others(folder: Path, model: Model, results: Path) -> None:
    scored = model["adapter"] or model["name"]
    if Path(scored).expanduser().resolve() != folder.resolve():
        raise ValueError(f"{results}: these are the scores of {scored}, not of {folder}")


def _section(results: Results) -> str:
    table = overview(results)
    lines = [table.head, ["---"] * len(table.head)]
    for number, cells in table.rows:
        own = [f"*{cells[0]}*"] if number is None and len(cells) == 1 else [*cells]
        lines.append(own + [""] * (len(table.head) - len(own)))
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n\n".join(("## Scores", "\n".join(rows), *table.notes))


def _metadata(entry: Entry) -> Iterator[EvalResult]:
    metric = METRIC_OF_NAME[entry["metric"]]
    name = f"{entry['config']} ({entry['protocol']} protocol)"
    names = metric.names([*entry["scores"]])
    yield from eval_results(
        entry["task"], name, entry, metric, entry["scores"], names, entry["signature"]
    )
