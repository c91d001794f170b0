"""The texts of published dialogues, for which nobody needs the images.

They are read by the layouts of config "folder". Only what depends on the images is left out: an
image that is absent or broken costs no dialogue, and boxes in the texts stay texts.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v_builders.folder.annotations import Annotations, find_annotations
from rs_gpt4v_builders.folder.dialogues import ROWS
from rs_gpt4v_builders.folder.image_names import ImageFiles, ImageNames
from rs_gpt4v_builders.folder.layout import Reading
from rs_gpt4v_builders.sources.reading import AnnotationError


class DialogueTexts(NamedTuple):
    """What was read of a file or folder.

    Attributes:
        records: `rs_gpt4v.records.DIALOGUES` that can be used; images are what the files call them.
        left_out: Items that cannot be used.
        first: Why the first of these cannot.
    """

    records: pa.Table
    left_out: int
    first: str


class _AnyName(ImageFiles):
    """Takes each name for that of an image, without a look at the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, name: str) -> list[str]:
        return [name]


def read_dialogue_texts(path: Path, split: str) -> DialogueTexts:
    """The dialogues of one file, or of the files of a folder that are of ``split``.

    Args:
        path: A file, which is read whole unless it states the splits of its items, or a folder.
        split: "train", "validation" or "test".

    Raises:
        AnnotationError: It holds no dialogues, none of the split, or cannot be read.
        FileNotFoundError: It is not there.
    """
    annotations = _annotations(path)
    if annotations.layout.rows is not ROWS:
        raise AnnotationError(f"{path}: expected dialogues, found {annotations.layout.title}")
    files = annotations.files
    if path.is_file() and not annotations.stated:
        files = {split: [path]}  # whatever split its name may say
    if split not in files:
        raise AnnotationError(f"{path} has no split {split!r}; it has {', '.join(files)}")
    tables, reasons = [], []
    for file in files[split]:
        table = _read(file, annotations, split)
        problem = records.problems(table)
        reasons += [found["reason"] for found in problem.drop_null().to_pylist()]
        tables.append(table.filter(problem.is_null()))
    good = pa.concat_tables(tables)
    first = next(iter(reasons), "")
    if not good.num_rows:
        raise AnnotationError(f"{path}: no dialogue can be used. {first}".rstrip())
    return DialogueTexts(good, len(reasons), first)


def _annotations(path: Path) -> Annotations:
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: name a JSON file of dialogues, or a folder")
    if path.is_dir():
        return find_annotations(path)
    return find_annotations(path.parent, data_files=[path.name])


def _read(path: Path, annotations: Annotations, split: str) -> pa.Table:
    stated: Sequence[str] = annotations.stated.get(path, ())
    reading = Reading(
        images=ImageNames(_AnyName(path.parent)),
        text_boxes="none",
        split=split if stated else None,
        rest=bool(stated) and split == stated[0],
    )
    return annotations.layout.read(path, reading)
