"""The images and boxes of DIOR, or of files of one's own, to generate dialogues from."""

from pathlib import Path

import pyarrow as pa

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v_builders.builder import check_choices
from rs_gpt4v_builders.folder.detection_formats import Layout
from rs_gpt4v_builders.folder.own_boxes import own_source
from rs_gpt4v_builders.sources import dior
from rs_gpt4v_builders.sources.source import not_found
from rs_gpt4v_builders.usable_records import OnMissing, good_records
from rs_gpt4v_generation.classes import DIOR, Vocabulary, vocabulary
from rs_gpt4v_generation.scene import Scene


def dior_scenes(
    root: Path | None,
    split: str,
    *,
    oriented: bool = False,
    protocol: Protocol = "paper",
    on_missing: OnMissing = "raise",
    log_dir: Path | None = None,
    conversion: Conversion = AS_IS,
) -> list[Scene]:
    """The images of a split of DIOR, or of DIOR-R.

    Args:
        root: The data root.
        split: "train" or "test"; under protocol "release" also "validation".
        oriented: Read the boxes of DIOR-R.
        protocol: Whose splits: the paper's or DIOR's own lists.
        on_missing: "raise" at the first image that cannot be used, or "skip" them all.
        log_dir: Where those left out are listed, as builds do.
        conversion: What is done with images that are not 8-bit.

    Raises:
        SourceNotFoundError: There is no release in ``root``, or it lacks annotations.
        RecordError: An image cannot be used, and ``on_missing`` is "raise".
        ValueError: There is no such split.
    """
    check_choices({"protocol": protocol, "on_missing": on_missing})
    source = dior.ORIENTED if oriented else dior.SOURCE
    folder = root and source.find(root)
    if root is None or folder is None:
        raise not_found(source, root or Path())
    splits = source.splits(protocol)
    if split not in splits:
        raise ValueError(f"{source.title} has no split {split!r}; it has {', '.join(splits)}")
    rows = good_records(
        source,
        folder,
        split,
        protocol=protocol,
        on_missing=on_missing,
        log_dir=log_dir,
        conversion=conversion,
    )
    return _scenes(rows, source.name, split, DIOR)


def own_scenes(
    boxes: Path,
    layout: Layout,
    images: Path,
    split: str,
    *,
    on_missing: OnMissing = "raise",
    log_dir: Path | None = None,
    conversion: Conversion = AS_IS,
) -> list[Scene]:
    """The images of a detection data set, in which every object of its classes is annotated.

    Args:
        boxes: File or folder of `rs_gpt4v_builders.folder.detection_formats.read_objects`.
        layout: How it is written.
        images: Folder that the names of images start from.
        split: What to call it.
        on_missing: As in `dior_scenes`, which has the other errors too.
        log_dir: As in `dior_scenes`.
        conversion: As in `dior_scenes`.

    Raises:
        AnnotationError: ``boxes`` is not of that layout.
        FileNotFoundError: ``boxes`` or ``images`` is not there.
    """
    check_choices({"on_missing": on_missing})
    boxes, images = boxes.absolute(), images.absolute()
    for path in (boxes, images):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: give the boxes and their images' folder")
    source = own_source(boxes, layout, images, split, conversion)
    rows = good_records(
        source,
        boxes.parent,
        split,
        protocol="paper",
        on_missing=on_missing,
        log_dir=log_dir,
        conversion=conversion,
    )
    known = {box["label"] for row in rows["boxes"].to_pylist() for box in row}
    return _scenes(rows, source.name, split, vocabulary(sorted(known)))


def _scenes(rows: pa.Table, source: str, split: str, known: Vocabulary) -> list[Scene]:
    return [
        Scene(
            source=source,
            key=row["key"],
            split=split,
            image=Path(row["path"]),
            width=row["width"],
            height=row["height"],
            boxes=row["boxes"],
            vocabulary=known,
        )
        for row in rows.to_pylist()
    ]
