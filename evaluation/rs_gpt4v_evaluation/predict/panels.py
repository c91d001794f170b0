"""Replies in a figure: the truth and what each model said, the boxes of both on the image."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path

from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.boxes import Points
from rs_gpt4v.files import AnyPath
from rs_gpt4v.object_classes import in_words
from rs_gpt4v_builders.figure import ANSWER, COLORS, Outline, Panel, Said, title
from rs_gpt4v_builders.pick import Pool, check_ids, pick
from rs_gpt4v_evaluation.predict.predictions import (
    Prediction,
    PredictionFileError,
    model_folder,
    read_predictions,
)

_WITH_BOXES = ("grounding", "detection")
_INKS = ("#1F5FA8", "#9B2C6B", "#5B6B00", "#9C4A00", "#5B3FA8")
"""On paper the colours that the boxes of models have on images: `COLORS` from the second on."""

Answered = Mapping[str, Prediction]
"""The replies to one row, by the name of the model."""


def panels(
    files: Sequence[AnyPath], count: int, seed: int = 0, ids: Sequence[str] | None = None
) -> list[Panel]:
    """Rows that all models have answered.

    Args:
        files: Predictions files. Those of one folder are of one model, which it names.
        count: Rows to draw.
        seed: Draws them.
        ids: The rows to draw instead.

    Raises:
        PredictionFileError: A file cannot be read, or no row is in the files of all models.
        ValueError: An id is not among them.
    """
    files = [Path(file) for file in files]
    models = _by_model(files)
    common = set.intersection(*(set(lines) for lines in models.values()))
    order = [row_id for row_id in next(iter(models.values())) if row_id in common]
    if not order:
        raise PredictionFileError(f"{', '.join(map(str, files))}: no row is in all of them")
    answered = {row_id: {name: own[row_id] for name, own in models.items()} for row_id in order}
    if ids:
        check_ids(ids, answered)
        return [_panel(answered[row_id]) for row_id in ids]
    return [_panel(row) for row in pick(_pools(answered), count, seed)]


def _by_model(files: Sequence[Path]) -> dict[str, dict[str, Prediction]]:
    """The lines by id, by the model's folder; by the path of the file where two have one row."""
    models: dict[str, dict[str, Prediction]] = {}
    for file in files:
        lines = {line["id"]: line for line in read_predictions(file)}
        name = model_folder(file)
        if not models.get(name, {}).keys().isdisjoint(lines):
            name = str(file)
        models.setdefault(name, {}).update(lines)
    return models


def _pools(answered: Mapping[str, Answered]) -> list[Pool[Answered]]:
    """One for each config."""
    by_config: dict[str, list[Answered]] = {}
    for row in answered.values():
        by_config.setdefault(_any(row)["dataset"]["config"], []).append(row)
    return [
        Pool(
            [_any(row)["question_type"] for row in rows],
            rows.__getitem__,
            lambda row: _any(row)["image"] or _any(row)["id"],
        )
        for rows in by_config.values()
    ]


def _any(row: Answered) -> Prediction:
    return next(iter(row.values()))


def _panel(answered: Answered) -> Panel:
    row = _any(answered)
    turns = [
        Said({"user": "Q", "assistant": "A"}.get(m["role"], ""), m["content"])
        for m in row.get("history", [])
    ]
    texts = [*turns, Said("Q", row["prompt"]), Said("A", row["references"][0], ANSWER)]
    boxes = [
        Outline(tuple(box["points"]), in_words(box["label"] or ""), COLORS[0])
        for box in row["boxes"]
    ]
    colors = zip(answered.items(), cycle(COLORS[1:]), cycle(_INKS), strict=False)
    for (name, line), color, ink in colors:
        texts.append(Said(name, line["prediction"], ink))
        boxes += [Outline(points, "", color, is_dashed=True) for points in _boxes(line)]
    size = row["width"] or 1, row["height"] or 1
    return Panel(title(row), row["image"], size, boxes, texts)


def _boxes(line: Prediction) -> Iterator[Points]:
    """Those of a reply that has boxes, without what cannot be one."""
    if line["task"] not in _WITH_BOXES or not line["image"]:
        return
    codec = CODECS[line["dataset"].get("box_format", "llava")]
    parsed = codec.parse_each(line["prediction"], line["width"], line["height"])
    if not isinstance(parsed, ParseFailure):
        yield from (box for box in parsed if not isinstance(box, ParseFailure))
