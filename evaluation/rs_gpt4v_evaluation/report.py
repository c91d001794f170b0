"""One self-contained HTML page of predictions: scores, bars, the loss curve, examples to browse."""

import base64
import hashlib
import io
import itertools
import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from PIL import Image

from rs_gpt4v_evaluation.predictions import Prediction, read_predictions
from rs_gpt4v_evaluation.rs_vqa.rs_vqa import bucket, normalise_answer, vqa_accuracy
from rs_gpt4v_evaluation.score import Score, score

_EXAMPLES = 12  # a config
_THUMBNAIL_PX = 256
_SAMPLE = "rs_gpt4v_sample"  # is in the path of every image of the embedded sample

_TYPES = {"comp": "Comparison", "rural_urban": "Rural or urban", "all": "Untyped"}
_CAPTION_METRICS = {
    **{f"bleu_{n}": f"BLEU-{n}" for n in range(1, 5)},
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr",
    "spice": "SPICE",
}
_TASKS = {"rs_vqa": "Visual question answering", "rs_caption": "Captioning"}
_NONE = "\N{EN DASH}"


class _Column(NamedTuple):
    """One predictions file; ``label`` heads its column."""

    label: str
    score: Score
    predictions: list[Prediction]

    @property
    def rule(self) -> dict[str, Any]:
        """How answers were compared: the rs_vqa arguments that the signature names."""
        parts = str(self.score["scores"]["signature"]).split("|")[2:]
        named = dict(part.split(":", 1) for part in parts)
        return {name: named[name] for name in ("counts", "areas", "normalise")}


def report(
    predictions: Sequence[Path],
    out: Path,
    training_log: Path | None = None,
    title: str = "rs-gpt4v report",
) -> None:
    """Write one HTML page about ``predictions`` to ``out``; the same input gives the same bytes.

    A file is a column, labelled by its folder ("before" in ``before/vqa_hr.jsonl``). Files of one
    config, split and protocol share a table; with two of them, it states the difference.

    Args:
        predictions: Predictions files, in the order of their columns.
        out: The page. It is replaced whole or not at all.
        training_log: ``trainer_state.json`` of a `transformers.Trainer`, for the loss curve.
        title: Heading of the page.

    Raises:
        PredictionFileError: A predictions file is empty, damaged, or of a task without a metric.
        ValueError: There are no predictions, or ``training_log`` is no trainer state.
    """
    if not predictions:
        raise ValueError("a report needs at least one predictions file")
    scores = [score(path) for path in predictions]
    page = _template().render(
        title=title,
        training=_training(training_log) if training_log else None,
        groups=[_group(_columns(group)) for group in _grouped(scores)],
    )
    _replace(out, page.encode(errors="replace"))


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")


def _replace(out: Path, content: bytes) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


# --- Groups: the files that are compared with each other -----------------------------------------


def _grouped(scores: list[Score]) -> list[list[Score]]:
    groups: dict[tuple[str, ...], list[Score]] = defaultdict(list)
    for each in scores:
        dataset = each["dataset"]
        groups[dataset["config"], dataset["split"], dataset["protocol"]].append(each)
    return list(groups.values())


def _columns(scores: list[Score]) -> list[_Column]:
    """The columns of a group, labelled by their paths if two folders are called the same."""
    paths = [Path(each["file"]) for each in scores]
    labels = [path.absolute().parent.name for path in paths]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in paths]
    return [
        _Column(label, each, read_predictions(path))
        for label, each, path in zip(labels, scores, paths, strict=True)
    ]


def _group(columns: list[_Column]) -> dict[str, Any]:
    last = columns[-1]
    is_vqa = last.score["metric"] == "rs_vqa"
    blind = _blind(last) if is_vqa else None
    names = _metric_names(columns)
    dataset = last.score["dataset"]
    headline = "oa" if is_vqa else "cider"
    return {
        "config": dataset["config"],
        "split": dataset["split"],
        "protocol": dataset["protocol"],
        "task": _TASKS[last.score["metric"]],
        "is_vqa": is_vqa,
        "is_sample": any(_SAMPLE in (p["image"] or "") for c in columns for p in c.predictions),
        "labels": [column.label for column in columns],
        "headline": {"name": names[headline], **_row(headline, columns, blind)},
        "rows": [{"name": name, **_row(key, columns, blind)} for key, name in names.items()],
        "counts": _counts(columns),
        "facts": _facts(columns),
        "rule": last.rule if is_vqa else None,
        "blind": blind,
        "warnings": _warnings(columns),
        "bars": _bars(names, columns, blind) if is_vqa else [],
        "examples": _examples(columns),
    }


def _metric_names(columns: list[_Column]) -> dict[str, str]:
    """The rows of the table: the scores' keys and what a reader calls them, totals last."""
    keys = list(dict.fromkeys(key for column in columns for key in column.score["scores"]))
    kinds = [key.removeprefix("accuracy_") for key in keys if key.startswith("accuracy_")]
    if not kinds:
        return {key: name for key, name in _CAPTION_METRICS.items() if key in keys}
    return {
        **{f"accuracy_{kind}": _type_name(kind) for kind in kinds},
        "aa": "Mean over types (AA)",
        "oa": "All questions (OA)",
    }


def _type_name(kind: str) -> str:
    return _TYPES.get(kind, kind.replace("_", " ").capitalize())


def _row(key: str, columns: list[_Column], blind: dict[str, Any] | None) -> dict[str, Any]:
    """One row of the table, as text."""
    is_share = blind is not None
    found = [column.score["scores"].get(key) for column in columns]
    n = columns[-1].score["scores"].get(key.replace("accuracy_", "n_"))
    return {
        "n": columns[-1].score["n"] if key == "oa" else n if key != "aa" else None,
        "blind": _shown(blind["scores"].get(key), is_share) if blind else None,
        "cells": [_shown(value, is_share) for value in found],
        "difference": _difference(found, is_share),
        "is_total": key in ("aa", "oa"),
    }


def _shown(value: Any, is_share: bool) -> str:
    if value is None:
        return _NONE
    return f"{100 * value:.1f}\u00a0%" if is_share else f"{value:.3f}"


def _difference(found: Sequence[Any], is_share: bool) -> str | None:
    """Second minus first, in percentage points for shares; None unless there are exactly two.

    >>> _difference([0.5, 0.625], True), _difference([0.5, 0.625], False), _difference([0.5], True)
    ('+12.5', '+0.125', None)
    """
    if len(found) != 2:
        return None
    if None in found:
        return _NONE
    change = found[1] - found[0]
    text = f"{100 * change:+.1f}" if is_share else f"{change:+.3f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _counts(columns: list[_Column]) -> list[dict[str, Any]]:
    """Under the scores: how many rows they are about."""
    return [
        {"name": "Rows scored", "cells": [column.score["n"] for column in columns]},
        {"name": "Rows missing", "cells": [column.score["missing"] for column in columns]},
        {"name": "Empty replies", "cells": [_empty(column.predictions) for column in columns]},
    ]


def _empty(predictions: list[Prediction]) -> int:
    return sum(not prediction["prediction"].strip() for prediction in predictions)


def _facts(columns: list[_Column]) -> list[dict[str, Any]]:
    """What is needed to make the numbers again."""
    scores = [column.score for column in columns]
    facts = {
        "Model": [s["model"] for s in scores],
        "Adapter": [s["adapter"] or "none" for s in scores],
        "Decoding": [_decoding(column.predictions[0]) for column in columns],
        "Split": [f"{s['dataset']['split']}, {s['dataset']['protocol']} protocol" for s in scores],
        "Rows in split": [s["dataset"]["rows"] for s in scores],
        "Fingerprint": [s["dataset"]["fingerprint"] for s in scores],
        "Signature": [s["scores"]["signature"] for s in scores],
        "File": [s["file"] for s in scores],
    }
    return [{"name": name, "cells": cells} for name, cells in facts.items()]


def _decoding(prediction: Prediction) -> str:
    decoding = prediction["decoding"]
    how = "sampled" if decoding["do_sample"] else "greedy"
    return f"{how}, at most {decoding['max_new_tokens']} new tokens"


def _warnings(columns: list[_Column]) -> list[str]:
    """Why the columns of a table may not be compared as they stand."""
    found = [
        f"{column.label}: {column.score['missing']} of {column.score['dataset']['rows']} rows have "
        "no prediction, so these scores are not of the whole split."
        for column in columns
        if column.score["missing"]
    ]
    prints = {column.score["dataset"]["fingerprint"] for column in columns}
    ids = {frozenset(prediction["id"] for prediction in column.predictions) for column in columns}
    if max(len(prints), len(ids)) > 1:
        found.append("The columns hold different rows, so they do not compare like with like.")
    return found


# --- What a reader would score without the image -------------------------------------------------


def _blind(column: _Column) -> dict[str, Any]:
    """Scores of always giving each question type's most frequent answer, and those answers."""
    types = [_kind(prediction) for prediction in column.predictions]
    references = [prediction["references"][0] for prediction in column.predictions]
    answers = _most_frequent(types, references, column.rule)
    blindly = [answers[kind] for kind in types]
    return {
        "scores": vqa_accuracy(blindly, references, types, **column.rule),
        "answers": {_type_name(kind): answer for kind, answer in sorted(answers.items())},
    }


def _kind(prediction: Prediction) -> str:
    return prediction["question_type"] or "all"


def _most_frequent(types: list[str], references: list[str], rule: dict[str, Any]) -> dict[str, str]:
    """Each type's most frequent answer, as the rule compares answers: a bucket may be one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, reference in zip(types, references, strict=True):
        counts[kind][_compared(kind, reference, rule)] += 1
    return {kind: min(seen, key=lambda a: (-seen[a], a)) for kind, seen in counts.items()}


def _compared(kind: str, reference: str, rule: dict[str, Any]) -> str:
    answer = normalise_answer(reference, rule["normalise"])
    if kind == "count" and rule["counts"] == "bucket":
        return bucket(answer) or answer
    if kind == "area" and rule["areas"] == "bucket":
        return bucket(answer, "m2") or answer
    return answer


# --- Charts --------------------------------------------------------------------------------------


def _bars(
    names: dict[str, str], columns: list[_Column], blind: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Per question type and for all questions: one bar a series, in % of the chart's width."""
    series = [column.score["scores"] for column in columns]
    if blind:
        series.insert(0, blind["scores"])
    return [
        {"name": name, "widths": [round(100 * float(scores.get(key, 0)), 1) for scores in series]}
        for key, name in names.items()
        if key != "aa"
    ]


def _training(path: Path) -> dict[str, Any]:
    """The loss curve in % of the chart's width and height (from its top), and its facts."""
    history = _log_history(path)
    logged = [(e["step"], e["loss"]) for e in history if math.isfinite(e.get("loss", math.nan))]
    if not logged:
        raise ValueError(f"{path} logs no loss; train with logging_steps below the steps' number")
    steps, losses = zip(*logged, strict=True)
    x_ticks, y_ticks = _ticks(max(steps)), _ticks(max(losses))
    width, height = max(steps), y_ticks[-1]
    return {
        "points": [(_percent(x, width), _percent(height - y, height)) for x, y in logged],
        "x_ticks": [(_percent(x, width), f"{x:,.0f}") for x in x_ticks if x <= width],
        "y_ticks": [(_percent(height - y, height), f"{y:g}") for y in y_ticks],
        "facts": _training_facts(history, logged),
    }


def _log_history(path: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(path.read_bytes())["log_history"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a trainer_state.json: {error!r}") from error


def _training_facts(
    history: list[dict[str, Any]], logged: list[tuple[int, float]]
) -> list[tuple[str, str]]:
    facts = [("Steps", f"{max(entry['step'] for entry in history):,}")]
    if runtime := history[-1].get("train_runtime"):
        facts.append(("Runtime", _duration(runtime)))
    facts += [("First loss", f"{logged[0][1]:.3f}"), ("Final loss", f"{logged[-1][1]:.3f}")]
    if rates := [entry["learning_rate"] for entry in history if "learning_rate" in entry]:
        facts.append(("Highest learning rate", f"{max(rates):.2g}"))
    return facts


def _ticks(high: float) -> list[float]:
    """Round numbers from 0 to ``high`` or just above it, four to eight of them.

    >>> _ticks(6.5), _ticks(120)
    ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0])
    """
    high = max(high, 1e-9)  # a loss of 0 still has an axis
    power = 10.0 ** math.floor(math.log10(high))
    step = next(power * part for part in (0.2, 0.5, 1, 2) if high / (power * part) <= 7)
    return [round(step * i, 12) for i in range(math.ceil(high / step - 1e-9) + 1)]


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 2)


def _duration(seconds: float) -> str:
    """Seconds as a reader says them.

    >>> _duration(5.33), _duration(725), _duration(11_000)
    ('5.3 s', '12 min 5 s', '3 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


# --- Examples ------------------------------------------------------------------------------------


def _examples(columns: list[_Column]) -> list[dict[str, Any]]:
    rights = [_rights(column) for column in columns]
    replies = [{p["id"]: p["prediction"] for p in column.predictions} for column in columns]
    labels = [column.label for column in columns]
    return [
        {
            "kind": _type_name(chosen["question_type"]) if chosen["question_type"] else None,
            "image": _thumbnail(chosen["image"]),
            "file": Path(chosen["image"] or "").name,
            "prompt": chosen["prompt"],
            "references": chosen["references"],
            "right": rights[-1].get(chosen["id"]),
            "replies": [
                {"label": label, "text": said.get(chosen["id"]), "right": right.get(chosen["id"])}
                for label, said, right in zip(labels, replies, rights, strict=True)
            ],
        }
        for chosen in _chosen(columns[-1].predictions, rights[-1])
    ]


def _rights(column: _Column) -> dict[str, bool]:
    """Which rows are right, by id; empty where the task knows no right and wrong."""
    if column.score["metric"] != "rs_vqa":
        return {}
    judged = {p["id"]: (p["prediction"], p["references"][0], _kind(p)) for p in column.predictions}
    right = {
        (said, true, kind): vqa_accuracy([said], [true], [kind], **column.rule)["oa"] == 1
        for said, true, kind in set(judged.values())
    }
    return {row_id: right[answer] for row_id, answer in judged.items()}


def _chosen(predictions: list[Prediction], rights: dict[str, bool]) -> list[Prediction]:
    """Up to 12 rows: question types, and right and wrong, by turns; by the hash of the id else."""
    piles: dict[tuple[bool, str], list[Prediction]] = defaultdict(list)
    for prediction in sorted(predictions, key=_hash):
        piles[rights.get(prediction["id"], False), _kind(prediction)].append(prediction)
    turns = itertools.zip_longest(*(piles[key] for key in sorted(piles)))
    chosen = itertools.islice(filter(None, itertools.chain.from_iterable(turns)), _EXAMPLES)
    return sorted(chosen, key=lambda prediction: (_kind(prediction), _hash(prediction)))


def _hash(prediction: Prediction) -> bytes:
    return hashlib.sha256(prediction["id"].encode()).digest()


def _thumbnail(path: str | None) -> str | None:
    """The image, at most 256 px, as a data URI; None if there is none or it cannot be read."""
    if path is None:
        return None
    jpeg = io.BytesIO()
    try:
        with Image.open(path) as image:
            image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
            image.convert("RGB").save(jpeg, "JPEG", quality=85)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()
