"""Judged answers as a queue for `rs-gpt4v review`, where people decide on them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v.files import AnyPath, refuse_overwriting, write_json_lines
from rs_gpt4v.images import ImageError, frame_size
from rs_gpt4v_evaluation.judge.lines import ScoredPair
from rs_gpt4v_evaluation.judge.pointwise import judged_lines


def _key(line: ScoredPair) -> str:
    """The id of a judged answer in a queue: another answer to the same question has another."""
    text = "\0".join([line["prompt"], line["answer"]])
    return f"{line['id']} {hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}"


def by_key(lines: Sequence[ScoredPair]) -> dict[str, ScoredPair]:
    """Judged answers by their ids in a queue."""
    return {_key(line): line for line in lines}


def review_queue(
    files: Sequence[AnyPath], out: AnyPath, number: int, seed: int = 0
) -> tuple[int, list[str]]:
    """Write judged answers as a queue for `rs-gpt4v review`, without the judge's scores.

    Images are drawn by the seed, and all answers to the questions about them are taken, until there
    are ``number``. The reviewers are not told whose answer it is. Empty answers are left out: no
    judge was asked about them.

    Args:
        files: Of `rs-gpt4v judge`.
        out: The queue.
        number: How many answers, at most.
        seed: Of the draw.

    Returns:
        How many there are, and the images that would have been drawn and cannot be shown.

    Raises:
        PredictionFileError: A file is damaged.
        ValueError: No answer has an image that can be shown.
    """
    files = [Path(file) for file in files]
    refuse_overwriting([out], files)
    lines = {key: line for path in files for key, line in by_key(judged_lines(path)).items()}
    drawn: dict[str, list[str]] = {}
    for key in sorted(lines, key=lambda key: _drawn(lines[key]["image"] or "", key, seed)):
        if (image := lines[key]["image"]) and lines[key]["answer"]:
            drawn.setdefault(image, []).append(key)
    rows: list[dict[str, Any]] = []
    missing = []
    for image, keys in drawn.items():
        if len(rows) == number:
            break
        try:
            size = frame_size(image)
        except ImageError:
            missing.append(image)
            continue
        rows += [_candidate(key, lines[key], image, size) for key in keys[: number - len(rows)]]
    if not rows:
        raise ValueError(f"no answer of {', '.join(map(str, files))} has an image that is there")
    write_json_lines(out, rows)
    return len(rows), missing


def _drawn(image: str, key: str, seed: int) -> list[str]:
    """Answers in an order by chance, those about one image together."""
    texts = (f"{seed} {text}".encode(errors="replace") for text in (image, key))
    return [hashlib.sha256(text).hexdigest() for text in texts]


def _candidate(key: str, line: ScoredPair, image: str, size: tuple[int, int]) -> dict[str, Any]:
    """A line of a queue, as `rs-gpt4v review` reads it."""
    spoken = [message for message in line["history"] if message["role"] != "system"]
    return {
        "id": key,
        "split": line["dataset"]["split"],
        "image": str(Path(image).absolute()),
        "width": size[0],
        "height": size[1],
        "product": line["group"],
        "messages": [
            *spoken,
            {"role": "user", "content": line["prompt"]},
            {"role": "assistant", "content": line["answer"]},
        ],
        "boxes": [],
        "verdicts": [],
        "references": line["references"],
    }
