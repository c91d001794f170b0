"""The images and boxes of DIOR, or of your own files, to generate dialogues from."""

from pathlib import Path
from typing import Any

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.files import AnyPath
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v.object_classes import DIOR, Vocabulary, vocabulary
from rs_gpt4v_builders.builder import check_choices
from rs_gpt4v_builders.folder.detection_formats import Layout
from rs_gpt4v_builders.folder.own_boxes import own_source
from rs_gpt4v_builders.sources import dior
from rs_gpt4v_builders.sources.source import Source, not_found
from rs_gpt4v_builders.usable_records import good_records
from rs_gpt4v_generation.scene import Scene


def dior_scenes(
    root: AnyPath | None,
    split: str,
    *,
    oriented: bool = False,
    protocol: Protocol = "paper",
    **options: Any,
) -> list[Scene]:
    """The images of a split of DIOR, or of DIOR-R.

    Args:
        root: The data root.
        split: "train" or "test"; under protocol "release" also "validation".
        oriented: Read the boxes of DIOR-R.
        protocol: Whose splits: the paper's or DIOR's own lists.
        options: ``on_missing`` ("raise" unless given), ``log_dir`` and ``conversion`` of
            `rs_gpt4v_builders.usable_records.good_records`.

    Raises:
        SourceNotFoundError: There is no release in ``root``, or it lacks annotations.
        RecordError: An image cannot be used, and ``on_missing`` is "raise".
        ValueError: There is no such split.
    """
    root = None if root is None else Path(root)
    source = dior.ORIENTED if oriented else dior.SOURCE
    check_choices({"protocol": protocol})
    folder = root and source.find(root)
    if root is None or folder is None:
        raise not_found(source, root or Path())
    splits = source.splits(protocol)
    if split not in splits:
        raise ValueError(f"{source.title} has no split {split!r}; it has {', '.join(splits)}")
    return _scenes(source, folder, split, DIOR, protocol=protocol, **options)


def own_scenes(
    boxes: AnyPath,
    layout: Layout,
    images: AnyPath,
    split: str,
    *,
    conversion: Conversion = AS_IS,
    empty_allowed: bool = False,
    **options: Any,
) -> list[Scene]:
    """The images of a detection data set in which every object of its classes is annotated.

    Args:
        boxes: File or folder of `rs_gpt4v_builders.folder.detection_formats.read_objects`.
        layout: How it is written.
        images: Folder that the names of images start from.
        split: Name for the split.
        conversion: What is done with images that are not 8-bit.
        empty_allowed: An image may hold no object; otherwise such an image is unusable.
        options: ``on_missing`` and ``log_dir`` as in `dior_scenes`.

    Raises:
        AnnotationError: ``boxes`` is not of that layout.
        FileNotFoundError: ``boxes`` or ``images`` is not there.
        RecordError: An image cannot be used, and ``on_missing`` is "raise".
    """
    boxes = Path(boxes)
    images = Path(images)
    boxes, images = boxes.absolute(), images.absolute()
    for path in (boxes, images):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: give the boxes and their images' folder")
    source = own_source(boxes, layout, images, split, conversion, empty_allowed=empty_allowed)
    return _scenes(source, boxes.parent, split, None, conversion=conversion, **options)


def _scenes(
    source: Source, folder: Path, split: str, known: Vocabulary | None, **options: Any
) -> list[Scene]:
    """``known`` are the annotated classes; None: those that occur."""
    options = {"protocol": "paper", "on_missing": "raise", "log_dir": None} | options
    check_choices(options)
    rows = good_records(source, folder, split, **options).to_pylist()
    if known is None:
        known = vocabulary(sorted({box["label"] for row in rows for box in row["boxes"]}))
    return [
        Scene(
            source=source.name,
            key=row["key"],
            split=split,
            image=Path(row["path"]),
            width=row["width"],
            height=row["height"],
            boxes=row["boxes"],
            vocabulary=known,
        )
        for row in rows
    ]
