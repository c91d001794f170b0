"""Predictions files and results of several models, for tests of boards."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prediction_lines import row, write


def questions(path: Path, right: int, of: int = 4, **changes: Any) -> Path:
    """Questions of which the first ``right`` are answered rightly, each about its own image."""
    dataset = {"config": "vqa_lr", "fingerprint": "f1", **changes.pop("dataset", {})}
    replies = ["yes"] * right + ["no"] * (of - right)
    lines = [row(n, prediction=reply, **changes) for n, reply in enumerate(replies)]
    return write(path, lines, **dataset)


def results(path: Path, name: str, **entry: Any) -> Path:
    """A results file of one entry."""
    own: dict[str, Any] = {
        "config": "grounding",
        "task": "grounding",
        "split": "test",
        "protocol": "paper",
        "metric": "rs_grounding",
        "measure": "pr_50",
        "n": 18_677,
        "rows": 18_677,
        "images": 7_936,
        "limit": None,
        "missing": 0,
        "fingerprint": "f1",
        "truth": "t1",
        "sample": False,
        "box_format": "llava",
        "verified": True,
        "scores": {"pr_50": 0.4, "mean_iou": 0.35},
        "intervals": {"pr_50": [0.39, 0.41]},
        "counts": {},
        "rule": {"box_format": "llava", "strict": False},
        "signature": "rs_grounding|v1",
        "predictions": "p.jsonl",
        "notes": [],
        "blind": {},
        "most_frequent": None,
        **entry,
    }
    model = {"name": name, "revision": None, "adapter": None, "weights": "w", "server": None}
    content = {"format": 1, "model": model, "entries": [own], "report": None}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def scores(folder: Path, **where: Any) -> list[dict[str, Any]]:
    """The records of a board's file that have these values."""
    records = json.loads((folder / "board.json").read_text())["scores"]
    return [own for own in records if all(own[name] == value for name, value in where.items())]


def ranking(folder: Path, **where: Any) -> list[tuple[str, int, str]]:
    """Models with their rank, and why they are not ranked with the first ones."""
    own = scores(folder, **where)
    return [(o["model"], o["rank"], o["not_ranked_with_first"]) for o in own]


def models(own: Sequence[tuple[str, int, str]]) -> list[str]:
    """The models of a ranking."""
    return [model for model, _, _ in own]
