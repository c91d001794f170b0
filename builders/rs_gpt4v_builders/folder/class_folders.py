"""Scene classes: a folder of images for each class, ``CLASS/*.jpg`` or ``train/CLASS/*.jpg``."""

from pathlib import Path

import pyarrow as pa

from rs_gpt4v import adapt_objects, records
from rs_gpt4v.files import relative
from rs_gpt4v.images import SUFFIXES
from rs_gpt4v_builders.folder.image_names import walk
from rs_gpt4v_builders.folder.layout import Layout, Reading
from rs_gpt4v_builders.sources.reading import AnnotationError


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
    start = relative(path, reading.images.files.folder)
    rows = [
        {"key": name, "image": f"{start}/{name}", "label": label, "classes": list(by_class)}
        for label, names in by_class.items()
        for name in names
    ]
    return records.table(rows, records.SCENES)


CLASS_FOLDERS = Layout(
    "class_folders",
    "a folder of images for each class",
    matches=lambda _: False,  # every folder of images would be: taken where nothing else is
    read=_read,
    rows={"scene": adapt_objects.scenes},
)
