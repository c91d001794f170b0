"""Source (provenance and layout of one upstream release) and the shared reading helpers."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import pyarrow as pa
import pyarrow.json
from datasets.config import HF_DATASETS_CACHE

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.image_checks import Checked, check_images
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v.remote import Download


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a source comes from, how it lies on disk, and how it is read.

    Args:
        name: Name of the module that reads it, snake_case; what it reads comes after that where
            the module has several sources.
        title: The name its authors use.
        homepage: Page from which a person can fetch it.
        license: SPDX id; "unknown" where the authors state none, more words where it is unsure.
        citation: BibTeX.
        folders: Spellings of the release's folder in the data root, the release's own first.
        annotations: For each split the annotation files it needs, relative to the folder; those of
            another release start with "../", the data root. One that ends with "/" is a folder.
        images: Spellings of the images' folder, relative to the release's.
        reader: ``reader(folder, split, protocol)`` returns one of the tables of `rs_gpt4v.records`.
        suffixes: Image suffixes to try where the released name is not there (mirrors convert).
        release_annotations: As ``annotations``, where protocol "release" needs other files or has
            other splits.
        spellings: Other places of an annotation file, by its name in ``annotations``.
        other_images: Image folders of other releases, by the first part of an image's name in the
            records; spellings as in ``images``.
        note: What a person should know who lacks something; it ends the error messages.
        mirrors: Other pages that have it or a part of it, each with a word on what is special.
        downloads: Its files at stable public addresses, in the order to fetch them.
        size: What there is to fetch, for a person, as far as it is known.
        image_count: Distinct images of the release; None where it holds none or it is unknown.
        telling: Whether the names of its annotation files are no other release's, so that they
            tell it in a folder of any name.
    """

    name: str
    title: str
    homepage: str
    license: str
    citation: str
    folders: tuple[str, ...]
    annotations: Mapping[str, tuple[str, ...]]
    images: tuple[str, ...]
    reader: Callable[[Path, str, Protocol], pa.Table] = field(repr=False)
    suffixes: tuple[str, ...] = (".tif", ".png", ".jpg")
    release_annotations: Mapping[str, tuple[str, ...]] | None = None
    spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other_images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""
    mirrors: tuple[str, ...] = ()
    downloads: tuple[Download, ...] = ()
    size: str = "unknown"
    image_count: int | None = None
    telling: bool = True

    def read(self, folder: Path, split: str, protocol: Protocol = "paper") -> pa.Table:
        """The records of ``split``, rows in file order: one of the tables of `rs_gpt4v.records`."""
        return self.reader(folder, split, protocol)

    def find(self, root: Path) -> Path | None:
        """The release's folder: one of ``folders`` in ``root``, or ``root`` itself.

        It is found where any of its annotation files is there, other releases' aside. ``root``
        must have one of the names, where the files do not tell the release.
        """
        own = [file for file in self.annotation_files() if not file.startswith("../")]
        itself = [root] if self.telling or root.name in self.folders else []
        for folder in (*(root / name for name in self.folders), *itself):
            if any(self.has(folder, file) for file in own):
                return folder
        return None

    def splits(self, protocol: Protocol) -> Mapping[str, tuple[str, ...]]:
        """The splits under a protocol, in order, with the annotation files that each needs."""
        if protocol == "release" and self.release_annotations is not None:
            return self.release_annotations
        return self.annotations

    def files(self, split: str, protocol: Protocol) -> tuple[str, ...]:
        """The annotation files that ``split`` needs."""
        return self.splits(protocol)[split]

    def annotation_files(self) -> list[str]:
        """Every annotation file of either protocol, once, in the splits' order."""
        needed = (*self.annotations.values(), *(self.release_annotations or {}).values())
        return list(dict.fromkeys(file for files in needed for file in files))

    def path(self, folder: Path, file: str) -> Path:
        """Where an annotation file is: under one of its spellings, or else where it should be."""
        places = [_below(folder, name) for name in (file, *self.spellings.get(file, ()))]
        return next((place for place in places if _is_there(place, file)), places[0])

    def has(self, folder: Path, file: str) -> bool:
        """Whether an annotation file is there, under any of its spellings."""
        return _is_there(self.path(folder, file), file)


def _is_there(place: Path, file: str) -> bool:
    return place.is_dir() if file.endswith("/") else place.is_file()


def _below(folder: Path, name: str) -> Path:
    """``folder / name``; a leading ".." is the data root also where ``folder`` is a link."""
    return Path(os.path.normpath(folder / name))


class SourceNotFoundError(FileNotFoundError):
    """The files of a source are not where they were looked for."""


def not_found(source: Source, root: Path, file: str | None = None) -> SourceNotFoundError:
    """The error for a ``root`` without the source, or a release's folder without ``file``."""
    lack = (
        f"{source.title} at {root} lacks {file}."
        if file
        else f"{source.title} is not at {root}: expected a folder {source.folders[0]}/ "
        f"with {source.annotation_files()[0]}."
    )
    how = f" (`rs-gpt4v download {source.name}`)" if source.downloads else ""
    return SourceNotFoundError(
        f"{lack} Fetch it from {source.homepage}{how} and give its parent folder as data_dir=... "
        "or in RS_GPT4V_DATA; `rs-gpt4v sources` shows what is found where, and its mirrors. "
        f"{source.note}".rstrip()
    )


class AnnotationError(ValueError):
    """An annotation file cannot be read; the message names the file and the place in it."""


def read_json(path: Path) -> Any:
    """Parse a UTF-8 JSON file (with or without byte order mark).

    Raises:
        AnnotationError: The file is cut short, not JSON or not UTF-8.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path}, line {error.lineno} column {error.colno}: {error.msg}. "
            "The file is damaged or was not downloaded whole; fetch it again."
        ) from error


def read_text(path: Path) -> str:
    """The text of a UTF-8 file (with or without byte order mark).

    Raises:
        AnnotationError: The file is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: byte {error.start} is not UTF-8 ({error.reason}). "
            "The file was saved in another encoding; fetch the released one again."
        ) from error


def read_json_list(path: Path, key: str) -> list[dict[str, Any]]:
    """The list of objects under ``key`` in the JSON object of ``path``.

    Raises:
        AnnotationError: As `read_json`, or there is no such list.
    """
    content = read_json(path)
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise AnnotationError(f"{path}: expected an object with a list {key!r}, found {found}")
    return rows


def read_json_object(path: Path, of: type[dict[str, Any]] | type[list[Any]]) -> dict[str, Any]:
    """The JSON object in ``path``, whose values are objects, or lists of objects.

    Raises:
        AnnotationError: As `read_json`, or the file holds something else.
    """
    content = read_json(path)
    values = list(content.values()) if isinstance(content, dict) else [None]
    inner = [item for value in values if isinstance(value, list) for item in value]
    if not all(isinstance(v, of) for v in values) or not all(isinstance(i, dict) for i in inner):
        kind = "lists of objects" if of is list else "objects"
        found = ", ".join(list(content)[:3]) if isinstance(content, dict) else type(content)
        raise AnnotationError(f"{path}: expected an object that holds {kind}, found {found}")
    return content


def read_json_columns(path: Path, key: str, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """`read_json_list` as columns, without a Python object for each row: 136 MB in 0.8 s.

    A field that a row lacks is null; fields not in ``columns`` are skipped.

    Raises:
        AnnotationError: As `read_json_list`, or a field has another type than ``columns`` says.
    """
    rows = pa.struct(list(columns.items()))
    try:
        with pa.memory_map(str(path)) as file:
            table = pyarrow.json.read_json(
                file,
                # The whole file is one JSON object, so one block.
                pyarrow.json.ReadOptions(use_threads=False, block_size=file.size() + 1),
                pyarrow.json.ParseOptions(
                    explicit_schema=pa.schema([(key, pa.list_(rows))]),
                    unexpected_field_behavior="ignore",
                ),
            )
        table.validate(full=True)
    except (pa.ArrowInvalid, OSError) as error:
        read_json_list(path, key)  # says line and column, where it is not a matter of types
        raise AnnotationError(f"{path}: {error}") from error
    lists = table[key].combine_chunks()
    if lists.null_count or not len(lists):
        read_json_list(path, key)
        raise AnnotationError(f"{path}: expected a list {key!r}")
    return pa.Table.from_struct_array(lists.flatten())


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
            cache: The cache folder of `datasets`, for what `rs_gpt4v.image_checks` keeps.
            conversion: What is done with deep pixels.
        """
        own = {"": source.images} if source.images else {}
        self.folders = {
            part: _first_folder(folder, names)
            for part, names in (own | dict(source.other_images)).items()
        }
        self.suffixes = source.suffixes
        self.cache = Path(cache).expanduser()
        self.conversion = conversion

    def measure(self, names: pa.Array) -> pa.Table:
        """Columns ``path``, ``width``, ``height`` (pixels) and ``problem`` (null where none).

        A converted image's ``path`` is that of its copy.
        """
        found = [self._find(name) for name in names.to_pylist()]
        paths = list(dict.fromkeys(one for one in found if isinstance(one, str)))
        checked = dict(zip(paths, check_images(paths, self.cache, self.conversion), strict=True))
        measured = [checked[one] if isinstance(one, str) else one for one in found]
        schema = pa.schema(
            [
                ("path", pa.string()),
                ("width", pa.int32()),
                ("height", pa.int32()),
                ("problem", pa.string()),
            ]
        )
        columns = zip(*measured, strict=True) if measured else ([], [], [], [])
        return pa.table(list(columns), schema=schema)

    def _find(self, name: str | None) -> str | Checked:
        """The image's path, or why it has none."""
        # os.path, not pathlib: this runs for every image of every split.
        folder, inner = self._place(name or "")
        if not inner or PureWindowsPath(inner).anchor or ".." in _PATH_SEPARATOR.split(inner):
            said = f"{name!r} is no image name inside {folder}"
            return Checked(str(folder), None, None, said)
        path = os.path.join(folder, inner)  # noqa: PTH118
        if not os.path.exists(path):  # noqa: PTH110
            stem = os.path.splitext(path)[0]  # noqa: PTH122
            converted = (stem + suffix for suffix in self.suffixes)
            path = next(filter(os.path.isfile, converted), path)
        return path

    def _place(self, name: str) -> tuple[Path, str]:
        """The folder that an image is in, and its name there."""
        part, _, inner = name.partition("/")
        if part and part in self.folders:
            return self.folders[part], inner
        return self.folders.get("", Path()), name


def _first_folder(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of ``names`` that is a folder there, or else the one that should be."""
    places = [_below(folder, name) for name in names]
    return next((place for place in places if place.is_dir()), places[0])


_PATH_SEPARATOR = re.compile(r"[\\/]")


def with_images(records: pa.Table, finder: ImageFinder) -> pa.Table:
    """``records`` with the columns of `ImageFinder.measure`; each distinct image is measured once.

    All are null where a record has no image name.
    """
    images = records["image"].combine_chunks().dictionary_encode()
    measured = finder.measure(images.dictionary)
    for name in measured.column_names:
        records = records.append_column(name, measured[name].take(images.indices))
    return records
