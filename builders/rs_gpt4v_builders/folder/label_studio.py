"""Boxes in a JSON file that Label Studio exports, as "JSON" or "JSON-MIN".

::

    [{"data": {"image": "/data/upload/1/0a1b2c3d-a.png"}, "annotations": [{"result": [
        {"type": "rectanglelabels", "original_width": 800, "original_height": 600,
         "value": {"x", "y", "width", "height", "rotation", "rectanglelabels": ["ship"]}}]}]}]
    [{"image": ..., "annotation_id": 1, "label": [{"x", ... "rectanglelabels", "original_width"}]}]

Percent of the sides; ``rotation`` is in degrees, clockwise as seen, around the top left corner.
Predictions, and what is said of the image as a whole, are left out.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from rs_gpt4v.boxes import from_rotated
from rs_gpt4v.images import SUFFIXES
from rs_gpt4v_builders.folder.box_files import NO_BOX, NO_NAME, OTHER_FORM, Row, class_name, finite
from rs_gpt4v_builders.sources.dialogues import ItemError
from rs_gpt4v_builders.sources.reading import AnnotationError, described, read_json

_OF_SHAPES = {"x", "points", "rle", "vertices"}
_ASKED = {"choices", "taxonomy", "rating", "number", "text", "datetime"}
_SIDES = ("x", "y", "width", "height")
_UPLOAD_MARK = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded."""


def read_label_studio(path: Path) -> list[Row]:
    """The rows of a file, one a task."""
    tasks = read_json(path)
    if not isinstance(tasks, list):
        raise AnnotationError(f"{path}: expected a list of tasks, found {described(tasks)}")
    return [_row(task, f"{path}, task {index}") for index, task in enumerate(tasks)]


def _row(task: Any, where: str) -> Row:
    row: Row = {"key": where, "image": None, "boxes": [], "where": where}
    try:
        names = _image_names(task)
        row |= {"key": _stem(names[-1]), "image": names[-1], "names": names}
        return row | _objects(_results(task))
    except ItemError as problem:
        kind, reason = problem.args
        return row | {"problem": (kind, f"{where}: {reason}")}


def _image_names(task: Any) -> list[str]:
    """What the file of a task's image may be called, from the whole name to the bare one."""
    if not isinstance(task, dict):
        raise ItemError(OTHER_FORM, f"expected an object, found {described(task)}")
    data = task["data"] if isinstance(task.get("data"), dict) else task
    paths = {key: _path_in(value) for key, value in data.items() if isinstance(value, str)}
    names = [name for name in paths.values() if name.lower().endswith(SUFFIXES)]
    if not names and paths.get("image"):
        names = [paths["image"]]
    if len(names) != 1:
        reason = f"expected one image, found {described(names)} in {described(data)}"
        raise ItemError("no image" if not names else "image in doubt", reason)
    name = names[0]
    if not name.startswith("upload/"):
        return [name]
    last = name.rsplit("/", 1)[-1]
    return list(dict.fromkeys([name, last, _UPLOAD_MARK.sub("", last, count=1)]))


def _path_in(value: str) -> str:
    """The path in a URL: of a file uploaded, of a file in local storage, or of another."""
    try:
        parts = urlsplit(value.strip())
        local = parse_qs(parts.query).get("d")
    except ValueError:
        return ""
    if local:
        return local[0]
    if parts.scheme or parts.path.startswith("/data/"):
        return unquote(parts.path).removeprefix("/data/").removeprefix("/")
    return value.strip()


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]  # noqa: PTH122 - a name, no path here


def _results(task: dict[str, Any]) -> list[Any]:
    """What one person says of the image.

    Raises:
        ItemError: Nobody says something, or several do and none is the ground truth.
    """
    if "data" not in task:
        return list(_min_results(task))
    done = [
        annotation
        for annotation in task.get("annotations") or task.get("completions") or []
        if isinstance(annotation, dict) and not annotation.get("was_cancelled")
    ]
    chosen = [annotation for annotation in done if annotation.get("ground_truth")] or done
    if not chosen:
        raise ItemError("not annotated", "nobody has annotated it: annotate it, or take it out")
    if len(chosen) > 1:
        reason = f"it is annotated {len(chosen)} times: mark one as ground truth, or keep one"
        raise ItemError("annotated several times", reason)
    results = chosen[0].get("result")
    if not isinstance(results, list):
        raise ItemError(OTHER_FORM, f"expected a list under 'result', found {described(results)}")
    return results


def _min_results(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same of JSON-MIN, where regions are below the name of their tag."""
    for tag, regions in task.items():
        for region in regions if isinstance(regions, list) else []:
            if isinstance(region, dict):
                kinds = (key for key in region if str(key).endswith("labels"))
                yield region | {"type": next(kinds, tag), "value": region}


def _objects(results: list[Any]) -> Row:
    boxes: list[Row] = []
    sizes: set[tuple[int, int]] = set()
    rectangles = {item.get("id") for item in results if _kind(item) == "rectanglelabels"} - {None}
    for index, result in enumerate(results):
        if not isinstance(result, dict):
            reason = f"result {index} is {described(result)}, expected an object"
            raise ItemError(OTHER_FORM, reason)
        if _kind(result) == "rectanglelabels":
            size = _size(result, index)
            sizes.add(size)
            boxes.append(_box(result.get("value"), size, index))
        elif _is_shape(result) and result.get("id") not in rectangles:
            kind = f"{_kind(result)!a:.40}"
            reason = f"result {index} is of type {kind}: draw a rectangle with RectangleLabels"
            raise ItemError("object of another form", reason)
    if len(sizes) > 1:
        raise ItemError(OTHER_FORM, f"its results state several sizes: {sorted(sizes)}")
    return {"boxes": boxes, "size": list(sizes.pop()) if sizes else None}


def _kind(result: Any) -> Any:
    return result.get("type") if isinstance(result, dict) else None


def _is_shape(result: Any) -> bool:
    """Whether a result is about a part of the image: what is asked of a rectangle has its id."""
    value = result.get("value") if isinstance(result, dict) else None
    return isinstance(value, dict) and bool(_OF_SHAPES & value.keys() and not _ASKED & value.keys())


def _size(result: dict[str, Any], index: int) -> tuple[int, int]:
    stated = [result.get("original_width"), result.get("original_height")]
    sides = finite(stated)
    if sides is None or not all(0 < side < 2**31 for side in sides):
        raise ItemError(
            OTHER_FORM,
            f"result {index} has original_width {stated[0]!a:.40} and original_height "
            f"{stated[1]!a:.40}, expected pixels",
        )
    if result.get("image_rotation"):
        reason = (
            f"result {index} is of the image turned by {result['image_rotation']!a:.40} degrees"
        )
        raise ItemError("image turned", f"{reason}: turn the file, and annotate it upright")
    return round(sides[0]), round(sides[1])


def _box(value: Any, size: tuple[int, int], index: int) -> Row:
    value = value if isinstance(value, dict) else {}
    labels = value.get("rectanglelabels")
    label = class_name(labels[0]) if isinstance(labels, list) and _is_one_text(labels) else None
    if label is None:
        reason = f"result {index} has rectanglelabels {labels!a:.80}, expected one class"
        raise ItemError(NO_NAME, reason)
    shares = finite(value.get(side) for side in _SIDES)
    degrees = finite([value.get("rotation") or 0])
    if shares is None or degrees is None:
        reason = f"result {index} is {described(value)}: expected numbers under {', '.join(_SIDES)}"
        raise ItemError(NO_BOX, reason)
    x, y, width, height = (share * side / 100 for share, side in zip(shares, size * 2, strict=True))
    if not degrees[0] % 360:
        return {"label": label, "points": [x, y, x + width, y + height], "kind": "hbb"}
    cos, sin = math.cos(math.radians(degrees[0])), math.sin(math.radians(degrees[0]))
    cx = x + (width * cos - height * sin) / 2
    cy = y + (width * sin + height * cos) / 2
    corners = from_rotated(cx, cy, width, height, degrees[0])
    return {"label": label, "points": corners, "kind": "obb"}


def _is_one_text(labels: list[Any]) -> bool:
    return len(labels) == 1 and isinstance(labels[0], str)
