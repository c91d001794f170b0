"""What the readers of box annotations share: folders of one file an image, numbers, names."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sources.reading import AnnotationError

Row = dict[str, Any]
Problem = tuple[str, str]
"""Kind and reason of a `rs_gpt4v.records.PROBLEM`."""

OTHER_FORM = "annotation of another form"
NO_NAME = "object without a name"
NO_BOX = "object without a box"

LOOKED_AT = 10
"""Files of a folder by which its layout is recognised: the first may be broken."""

NO_LABELS = {"classes.txt", "labels.txt", "obj.names.txt", "readme.txt", "notes.txt"}
"""What tools put beside labels, in lower case."""

LISTS = {"train.txt", "val.txt", "trainval.txt", "test.txt"}
"""Lists of the images of a split, which stand beside labels or in a folder of their own."""


def rows_of_files(files: Iterable[Path], read: Callable[[Path], Row]) -> list[Row]:
    """The row of each file; one of another form has that as its problem.

    Raises:
        AnnotationError: All files are of another form.
    """
    rows = [_row(file, read) for file in files]
    problems = [row.get("problem") or ("", "") for row in rows]
    if rows and all(kind == OTHER_FORM for kind, _ in problems):
        raise AnnotationError(problems[0][1])
    return rows


def _row(file: Path, read: Callable[[Path], Row]) -> Row:
    row: Row = {"key": file.stem, "image": file.stem, "boxes": [], "where": str(file)}
    try:
        return row | read(file)
    except AnnotationError as error:
        return row | {"problem": (OTHER_FORM, str(error))}


def files_with(folder: Path, suffix: str) -> Sequence[Path]:
    """The files with that suffix, in any case, by name; what systems hide there is left out.

    Raises:
        AnnotationError: There are none.
    """
    files = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() == suffix and not path.name.startswith(".") and path.is_file()
    ]
    if not files:
        raise AnnotationError(
            f"{folder}: no annotation files (*{suffix}) there. Name the folder that has them"
        )
    return sorted(files, key=lambda path: path.name)


def label_files(folder: Path) -> Sequence[Path]:
    """The text files of a folder that may hold labels."""
    return [file for file in files_with(folder, ".txt") if file.name.lower() not in NO_LABELS]


def is_beside_labels(folder: Path) -> bool:
    """Whether the text and XML files of a folder are lists, names of classes and the like."""
    names = {file.name.lower() for file in folder.iterdir()}
    known = NO_LABELS | LISTS | {"sysdata.xml"}
    return "ImageSets" in folder.parts or all(
        name in known for name in names if name.endswith((".txt", ".xml"))
    )


def levels(folder: Path) -> tuple[Path, ...]:
    """A folder of label files, and those above that may hold what belongs to it."""
    return folder, *folder.parents[:3]


def finite(values: Iterable[Any]) -> list[float] | None:
    """Numbers of JSON as floats; None where one is none, or no finite one."""
    numbers = list(values)
    if not all(type(number) in (int, float) for number in numbers):
        return None
    try:
        floats = [float(number) for number in numbers]
    except OverflowError:
        return None
    return floats if all(map(math.isfinite, floats)) else None


def class_name(text: str | None) -> str | None:
    """A class without blanks around it; None where nothing is left."""
    return " ".join((text or "").split()) or None
