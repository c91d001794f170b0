"""Boxes in folders of one text file an image, an object a line.

::

    dota    x1 y1 x2 y2 x3 y3 x4 y4 class difficult     pixels
    yolo    index x y width height                      shares of the sides; x, y of the centre
            index x1 y1 x2 y2 x3 y3 x4 y4               (YOLO-OBB)

Classes of DOTA may have several words; the last number, which may be missing, is no part of them.
Two lines before the objects may say where the image is from and its resolution (from v1.5 on).

The classes of YOLO are named in a YAML file with ``names``, a list or by index, or in a file with a
name a line (classes.txt, obj.names), in the folder or the nearest of three above. The YAML file may
say the splits too, as folders or lists of images (``train``, ``val``, ``test``).
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from rs_gpt4v.boxes import order_corners
from rs_gpt4v.images import SUFFIXES
from rs_gpt4v_builders.folder.box_files import (
    LOOKED_AT,
    NO_NAME,
    Row,
    class_name,
    label_files,
    levels,
    rows_of_files,
)
from rs_gpt4v_builders.folder.image_names import with_part
from rs_gpt4v_builders.sources.reading import AnnotationError, described, read_text

_HEAD = ("imagesource", "gsd")
_NAMES = ("classes.txt", "labels.txt", "*.names", "_darknet.labels")
_KEYS = {"train": "train", "val": "validation", "test": "test"}


def first_labels(folder_files: Iterable[Path]) -> list[list[str]]:
    """The words of the first line about an object, of the first files that have one."""
    first = (_first_label(file) for file in folder_files)
    return list(islice(filter(None, first), LOOKED_AT))


def _first_label(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    labels = (line.split() for line in lines if not line.startswith(_HEAD))
    return next(filter(None, labels), [])


def read_dota(folder: Path) -> list[Row]:
    """The rows of a folder of DOTA's files."""
    return rows_of_files(
        label_files(folder), lambda file: {"boxes": [_oriented(*line) for line in _lines(file)]}
    )


def _lines(file: Path) -> list[tuple[str, str]]:
    """The lines about objects, each with where it stands."""
    lines = enumerate(read_text(file).splitlines(), 1)
    return [
        (line, f"{file}, line {number}")
        for number, line in lines
        if line.strip() and not line.startswith(_HEAD)
    ]


def _oriented(line: str, where: str) -> Row:
    corners, rest = line.split()[:8], line.split()[8:]
    if len(rest) > 1 and rest[-1] in ("0", "1", "2"):  # how difficult it is
        del rest[-1]
    label = " ".join(rest)
    points = numbers(corners)
    is_named = any(letter.isalpha() for letter in label)
    if not is_named or points is None or len(points) != 8:
        raise AnnotationError(f"{where}: expected eight numbers and a class, found {line!r:.80}")
    return {"label": label, "points": order_corners(points), "kind": "obb"}


def numbers(words: list[str]) -> list[float] | None:
    """Finite numbers of their texts; None where one is none."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def read_yolo(folder: Path) -> list[Row]:
    """The rows of a folder of YOLO's files; ``points`` are shares of the sides, 0 to 1."""
    names, file = class_names(folder)
    return rows_of_files(label_files(folder), partial(_yolo, names=names, listed=file))


def _yolo(file: Path, names: Mapping[int, str], listed: Path) -> Row:
    row: Row = {"boxes": [], "problem": None}
    for line, where in _lines(file):
        index, box = _shares(line, where)
        row["boxes"].append({"label": names.get(index)} | box)
        if index not in names and row["problem"] is None:
            known = f"it names {len(names)}, from {min(names)} to {max(names)}"
            reason = f"{where}: class {index} is not in {listed}: {known}"
            row["problem"] = (NO_NAME, reason)
    return row


def _shares(line: str, where: str) -> tuple[int, Row]:
    values = numbers(line.split())
    if values is None or len(values) not in (5, 9) or values[0] < 0 or not values[0].is_integer():
        raise AnnotationError(
            f"{where}: expected the number of a class and four shares of the sides (x, y of the "
            f"centre, width, height) or eight (four corners), found {line!r:.120}"
        )
    if len(values) == 9:
        return int(values[0]), {"points": order_corners(values[1:]), "kind": "obb"}
    _, x, y, width, height = values
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return int(values[0]), {"points": corners, "kind": "hbb"}


def class_names(folder: Path) -> tuple[dict[int, str], Path]:
    """The names of a folder's classes by their numbers, and the file that has them.

    Raises:
        AnnotationError: There is none, or two that differ.
    """
    for parent in levels(folder):
        found = [(names, file) for file in _name_files(parent) if (names := _names_in(file))]
        if found and any(names != found[0][0] for names, _ in found):
            files = " and ".join(str(file) for _, file in found)
            raise AnnotationError(f"{files} name the classes differently: keep the right one")
        if found:
            return found[0]
    raise AnnotationError(
        f"{folder}: its labels have numbers of classes, and no file names these. Put a data.yaml "
        'with "names", or a classes.txt with a name a line, into it or a folder above'
    )


def _name_files(folder: Path) -> list[Path]:
    patterns = ("*.yaml", "*.yml", *_NAMES)
    found = (path for pattern in patterns for path in sorted(folder.glob(pattern)))
    return [path for path in found if path.is_file()]


def _names_in(file: Path) -> dict[int, str]:
    """The classes that a file names; none where it is about something else."""
    if file.suffix.lower() not in (".yaml", ".yml"):
        lines = read_text(file).splitlines()
        while lines and not lines[-1].strip():
            del lines[-1]
        return _checked(file, dict(enumerate(lines)))
    names = _yaml(file).get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    return _checked(file, names) if isinstance(names, dict) else {}


def _checked(file: Path, names: Mapping[Any, Any]) -> dict[int, str]:
    checked: dict[int, str] = {}
    for index, name in names.items():
        # YAML takes names like 7 for numbers; a list in a list would be told as a class.
        text = class_name(str(name)) if isinstance(name, str | int) and name is not False else None
        if type(index) is not int or index < 0 or text is None:
            raise AnnotationError(
                f"{file}: class {index!a:.40} is {described(name)}, expected a number from 0 and "
                "a name"
            )
        checked[index] = text
    return checked


def _yaml(file: Path) -> dict[str, Any]:
    if b"names" not in file.read_bytes():
        return {}  # about something else
    try:
        content = yaml.safe_load(read_text(file))
    except (yaml.YAMLError, RecursionError) as error:
        raise AnnotationError(f"{file}: expected YAML, but {error}") from error
    return content if isinstance(content, dict) else {}


def yolo_files(folder: Path) -> list[Path]:
    """The files besides labels that are read for a folder of them."""
    try:
        file = class_names(folder)[1]
    except AnnotationError:
        return []  # whoever reads the labels says what is wrong
    return [file, *(path for _, path in _split_paths(folder) if path.is_file())]


def stated_images(folder: Path) -> dict[str, set[str] | None]:
    """The splits of a folder of labels, as the YAML file says; of each, its images or None: all."""
    splits: dict[str, set[str] | None] = {}
    for split, path in _split_paths(folder):
        if path.is_dir() and folder.is_relative_to(with_part(path, "images", "labels")):
            splits[split] = None
        elif path.is_file() and (listed := _listed(path, folder)):
            splits[split] = listed | (splits.get(split) or set())
    return splits


def _split_paths(folder: Path) -> Iterator[tuple[str, Path]]:
    """Where the YAML file says that the images of each split are."""
    for file in (f for parent in levels(folder) for f in _name_files(parent)):
        content = _yaml(file) if file.suffix.lower() in (".yaml", ".yml") else {}
        if not isinstance(content.get("names"), list | dict):
            continue
        for key, split in _KEYS.items():
            values = content.get(key)
            for value in values if isinstance(values, list) else [values]:
                if isinstance(value, str) and (path := _there(file, content, value)):
                    yield split, path
        return


def _there(file: Path, content: Mapping[str, Any], value: str) -> Path | None:
    """A folder or list of images: from ``path``, or from the YAML file's folder.

    Roboflow writes "../train/images" where it means "train/images".
    """
    starts = [file.parent / str(content.get("path") or ""), file.parent]
    names = [start / value for start in starts] + [file.parent / value.removeprefix("../")]
    paths = (Path(os.path.normpath(name)) for name in names)
    return next((path for path in paths if path.exists()), None)


def _listed(path: Path, folder: Path) -> set[str]:
    """The images, without suffixes, of a list or of one image, whose labels are in a folder.

    Names may start with folders of another machine, or with the "data" of Darknet.
    """
    is_image = path.suffix.lower() in SUFFIXES
    names = [str(path)] if is_image else read_text(path).split("\n")
    images = (Path(os.path.normpath(name.strip())) for name in names if name.strip())
    labels = [with_part(image, "images", "labels") for image in images]
    return {
        label.stem
        for label in labels
        if label.suffix.lower() in SUFFIXES and _is_in(label, folder, path.parent)
    }


def _is_in(label: Path, folder: Path, start: Path) -> bool:
    """Whether a name that starts from some machine's ``start`` is in ``folder``."""
    inner = folder.parts[len(Path(os.path.commonpath([folder, start])).parts) :]
    if not inner and label.parent == Path():
        return True
    inner = inner or (folder.name,)
    return label.parent.parts[-len(inner) :] == inner
