"""Scene classes: a folder of images for each class, ``CLASS/*.jpg`` or ``train/CLASS/*.jpg``."""

import logging
from pathlib import Path

import pyarrow as pa

from rs_gpt4v import adapt_objects, records
from rs_gpt4v.adapt_objects import in_words
from rs_gpt4v.files import relative
from rs_gpt4v.images import SUFFIXES
from rs_gpt4v.scene_classes import is_listable, two_spellings
from rs_gpt4v_builders.folder.image_names import walk
from rs_gpt4v_builders.folder.layout import SPLITS, Layout, Reading, is_text
from rs_gpt4v_builders.sources.reading import AnnotationError

logger = logging.getLogger(__name__)


def classes(folder: Path) -> dict[str, list[str]]:
    """The images of each class, by their paths in ``folder``."""
    by_class: dict[str, list[str]] = {}
    for inside, names in walk(folder):
        images = [inside + name for name in names if name.lower().endswith(SUFFIXES)]
        if inside and images:
            by_class.setdefault(inside.split("/")[0], []).extend(images)
    return by_class


def _read(path: Path, reading: Reading) -> pa.Table:
    by_class = classes(path)
    if not by_class:
        raise AnnotationError(f"{path}: no folder in it holds images: expected one for each class")
    _warn_of_unclassed(path)
    _warn_of_empty(path, by_class)
    choices = _choices(path, reading.images.files.folder)
    start = relative(path, reading.images.files.folder)
    rows = [
        {"key": name, "image": f"{start}/{name}", "label": label, "classes": choices}
        for label, names in by_class.items()
        for name in names
    ]
    return records.table(rows, records.SCENES)


def _warn_of_unclassed(path: Path) -> None:
    """Name the images that are in no folder of a class."""
    images = sorted(p.name for p in path.iterdir() if p.name.lower().endswith(SUFFIXES))
    if images:
        message = "%s: %s images are in no folder of a class, and not read: %s, ..."
        logger.warning(message, path, f"{len(images):,}", images[0])


def _warn_of_empty(path: Path, by_class: dict[str, list[str]]) -> None:
    """Name the folders that would be classes if they held an image."""
    folders = (p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if empty := sorted(set(folders).difference(by_class)):
        message = "%s: %s folders hold no image, so no question names them as classes: %s"
        logger.warning(message, path, len(empty), ", ".join(empty[:5]))


def _choices(path: Path, root: Path) -> list[str]:
    """The classes of all splits: what a question lists does not depend on the split it is in.

    Raises:
        AnnotationError: Two folders spell one class, or no question can list one's name.
    """
    splits = [path]
    if path != root and path.name.lower() in SPLITS:
        splits = sorted(p for p in path.parent.iterdir() if p.name.lower() in SPLITS and p.is_dir())
    by_class = {label: split / label for split in splits for label in classes(split)}
    if pair := two_spellings(by_class):
        first, second = (by_class[label] for label in pair)
        raise AnnotationError(
            f"{first} and {second}: one class in two spellings: give both folders one name"
        )
    for label, folder in by_class.items():
        if not is_text(label):
            raise AnnotationError(f"{str(folder)!a}: its name is not UTF-8: rename it")
        if not is_listable(in_words(label)):
            raise AnnotationError(
                f"{folder}: a question cannot list a class of this name: take commas, colons and "
                "stops out of it"
            )
    return sorted(by_class)


CLASS_FOLDERS = Layout(
    "class_folders",
    "a folder of images for each class",
    matches=lambda _: False,  # every folder of images would be: taken where nothing else is
    read=_read,
    rows={"scene": adapt_objects.scenes},
)
