"""Finds and measures the images of a release."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import os
import re
from pathlib import Path, PureWindowsPath

import pyarrow as pa
import pyarrow.compute as pc
from datasets.config import HF_DATASETS_CACHE

from rs_gpt4v import records
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v_builders.image_checks import Checked, check_images
from rs_gpt4v_builders.sources.source import Source, first_there

_PATH_SEPARATOR = re.compile(r"[\\/]")


class ImageFinder:
    """Finds and measures the images of one release, and says what is wrong with each."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        cache: str | Path = HF_DATASETS_CACHE,
        conversion: Conversion = AS_IS,
    ) -> None:
        """Look for the images of the release in ``folder``, and of others beside it.

        Args:
            source: Which release.
            folder: Where it is.
            cache: The cache folder of `datasets`, for what `rs_gpt4v_builders.image_checks` keeps.
            conversion: What is done with deep pixels.
        """
        own = {"": source.images} if source.images else {}
        self.folders = {
            part: first_there(folder, [f"{name}/" for name in names])
            for part, names in (own | dict(source.other_images)).items()
        }
        self.suffixes = source.suffixes
        self.cache = Path(cache).expanduser()
        self.conversion = conversion

    def measure(self, names: pa.Array) -> pa.Table:
        """Columns ``path``, ``width``, ``height`` (pixels) and ``image_problem``, null where none.

        The last is a `rs_gpt4v.records.PROBLEM`. A converted image's ``path`` is that of its copy.
        """
        found = [self._find(name) for name in names.to_pylist()]
        paths = list(dict.fromkeys(item for item in found if isinstance(item, str)))
        checked = dict(zip(paths, check_images(paths, self.cache, self.conversion), strict=True))
        measured = [checked[item] if isinstance(item, str) else item for item in found]
        schema = pa.schema(
            [
                ("path", pa.string()),
                ("width", pa.int32()),
                ("height", pa.int32()),
                ("image_problem", records.PROBLEM),
            ]
        )
        columns = zip(*measured, strict=True) if measured else ([], [], [], [])
        return pa.table(list(columns), schema=schema)

    def _find(self, name: str | None) -> str | Checked:
        """The image's path, or why it has none."""
        # os.path, not pathlib: this runs for every image of every split.
        part, _, inner = (name or "").partition("/")
        folder = self.folders.get(part) if part else None
        if folder is None:
            folder, inner = self.folders.get("", Path()), name or ""
        if not inner or PureWindowsPath(inner).anchor or ".." in _PATH_SEPARATOR.split(inner):
            reason = f"{name!r} is no image name inside {folder}"
            return Checked(str(folder), None, None, ("image name leaves the release", reason))
        path = os.path.join(folder, inner)  # noqa: PTH118
        if not os.path.exists(path):  # noqa: PTH110
            stem = os.path.splitext(path)[0]  # noqa: PTH122
            converted = (stem + suffix for suffix in self.suffixes)
            path = next(filter(os.path.isfile, converted), path)
        return path


def with_images(table: pa.Table, finder: ImageFinder) -> pa.Table:
    """Records with the columns of `ImageFinder.measure`; each distinct image is measured once.

    All are null where a record has no image name. Records of several images get ``further_paths``
    too; a problem of any image is the record's.
    """
    if "further_images" in table.column_names and table["further_images"].null_count < len(table):
        table = _with_further_images(table, finder)
    images = table["image"].combine_chunks().dictionary_encode()
    measured = finder.measure(images.dictionary)
    for name in measured.column_names:
        column = measured[name].take(images.indices)
        if name in table.column_names:  # the problem of a further image
            earlier = table[name]
            table, column = table.drop_columns(name), pc.coalesce(column, earlier)
        table = table.append_column(name, column)
    return table


def _with_further_images(table: pa.Table, finder: ImageFinder) -> pa.Table:
    """Records with the paths of all images but the first, and the first problem among these."""
    lists = table["further_images"].to_pylist()
    names = list(dict.fromkeys(name for some in lists for name in some or []))
    rows = finder.measure(pa.array(names, pa.string())).to_pylist()
    measured = dict(zip(names, rows, strict=True))
    paths = [some and [measured[name]["path"] for name in some] for some in lists]
    problems = [
        next(filter(None, (measured[name]["image_problem"] for name in some or [])), None)
        for some in lists
    ]
    table = table.append_column("further_paths", pa.array(paths, pa.list_(pa.string())))
    return table.append_column("image_problem", pa.array(problems, records.PROBLEM))
