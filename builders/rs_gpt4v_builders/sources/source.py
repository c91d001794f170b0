"""Source (provenance and layout of one upstream release) and the shared reading helpers."""

import codecs
import difflib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import pyarrow as pa
import pyarrow.json
from datasets.config import HF_DATASETS_CACHE

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v_builders.image_checks import Checked, check_images
from rs_gpt4v_builders.sources.remote import Download


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
        named_images: ``named_images(folder)`` returns the folders of images that the annotation
            files name, other than those above.
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
    named_images: Callable[[Path], Iterable[Path]] = field(default=lambda _: (), repr=False)
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
        f"{source.title} at {root} lacks {file}.{_misspelt(source, root, file)}"
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


def _misspelt(source: Source, folder: Path, file: str) -> str:
    """The name there that may be meant by ``file``, for a person; nothing is read from it."""
    wanted = source.path(folder, file)
    if not wanted.parent.is_dir():
        return ""
    known = {Path(name).name for name in source.annotation_files()}
    others = {path.name.lower(): path.name for path in wanted.parent.iterdir()}
    near = difflib.get_close_matches(wanted.name.lower(), others, n=1, cutoff=0.92)
    if not near or others[near[0]] in known:
        return ""
    return f" {others[near[0]]} is there: is it that file under another name?"


class AnnotationError(ValueError):
    """An annotation file cannot be read; the message names the file and the place in it."""


_MOST_DIGITS = 100  # of a whole number; Python reads none of more than 4,300


def read_json(path: Path) -> Any:
    """Parse a JSON file, in UTF-8 or in what its byte order mark says.

    A whole number of more than 100 digits is read as its text.

    Raises:
        AnnotationError: The file is cut short, not JSON or not UTF-8, or its object has a key
            twice, of which one would be lost.
    """
    text = read_text(path)
    outermost: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        outermost[:] = pairs  # the outermost object is the last to be complete
        return dict(pairs)

    try:
        content = parse_json(text, keep)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path}, line {error.lineno} column {error.colno}: expected JSON, but "
            f"{_what_else(text, error)}"
        ) from error
    except RecursionError as error:
        raise AnnotationError(f"{path}: its JSON is nested too deeply") from error
    if isinstance(content, dict) and len(content) < len(outermost):
        (twice, _), *_ = Counter(key for key, _ in outermost).most_common(1)
        raise AnnotationError(f"{path}: it has the key {twice!a} twice: one would be lost")
    return content


def parse_json(
    text: str, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value of a JSON text; a whole number of more than 100 digits is read as its text.

    Raises:
        JSONDecodeError: It is no JSON.
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, parse_int=_whole_number, object_pairs_hook=object_pairs_hook)


def _whole_number(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _what_else(text: str, error: json.JSONDecodeError) -> str:
    """What is in the place of the JSON that was expected."""
    if not text.strip():
        return "the file is empty"
    if error.pos >= len(text.rstrip()):
        return f"the file ends there: it is cut short ({error.msg})"
    return f"found {text[error.pos : error.pos + 40]!r} ({error.msg})"


_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


_OTHER_FILES = (
    ("<", "a page of HTML or XML"),
    ("version https://git-lfs", "a pointer of Git LFS, not the file itself (`git lfs pull`)"),
)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in what its byte order mark says.

    Raises:
        AnnotationError: The file is in another encoding, or is the page that a server sent in its
            place.
    """
    content = path.read_bytes()
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: byte {error.start} is not {encoding.removesuffix('-sig').upper()} "
            f"({error.reason}): the file is in another encoding, save it as UTF-8"
        ) from error
    start = text[:1000].lstrip()
    for sign, what in _OTHER_FILES:
        if start.startswith(sign):
            raise AnnotationError(f"{path}: it is {what}; it begins {start[:40]!r}")
    return text


def read_json_list(path: Path, key: str) -> list[dict[str, Any]]:
    """The list of objects under ``key`` in the JSON object of ``path``.

    Raises:
        AnnotationError: As `read_json`, or there is no such list.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise AnnotationError(
            f"{path}: expected an object with a list {key!r}, found {described(content)}"
        )
    for place, row in enumerate(content[key]):
        if not isinstance(row, dict):
            raise AnnotationError(
                f"{path}, {key}[{place}]: expected an object, found {described(row)}"
            )
    return content[key]


def described(value: object) -> str:
    """A JSON value in a few words: the keys of an object, the kind of anything else."""
    if isinstance(value, dict):
        keys = [ascii(key)[1:-1] for key in list(value)[:8]]
        return f"an object with {', '.join(keys)}" if keys else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    return f"{value!a:.80}"


def read_json_object(path: Path, of: type[dict[str, Any]] | type[list[Any]]) -> dict[str, Any]:
    """The JSON object in ``path``, whose values are objects, or lists of objects.

    Raises:
        AnnotationError: As `read_json`, or the file holds something else.
    """
    content = read_json(path)
    kind = "lists of objects" if of is list else "objects"
    if not isinstance(content, dict):
        raise AnnotationError(
            f"{path}: expected an object that holds {kind}, found {described(content)}"
        )
    for key, value in content.items():
        odd = {} if isinstance(value, of) else {key: value}
        if of is list and not odd:
            odd = {f"{key}[{n}]": row for n, row in enumerate(value) if not isinstance(row, dict)}
        for place, found in odd.items():
            raise AnnotationError(
                f"{path}: expected an object that holds {kind}, found {described(content)}, of "
                f"which {place} is {described(found)}"
            )
    return content


def read_json_columns(path: Path, key: str, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """`read_json_list` as columns, without a Python object for each row: 136 MB in 0.8 s.

    A field that a row lacks is null; fields not in ``columns`` are skipped. A field of another type
    costs its row alone, see `rs_gpt4v.records.table`.

    Raises:
        AnnotationError: As `read_json_list`.
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
    except (pa.ArrowInvalid, OSError):
        return _slow_columns(path, key, rows)
    lists = table[key].combine_chunks()
    if lists.null_count or not len(lists):
        return _slow_columns(path, key, rows)
    return pa.Table.from_struct_array(lists.flatten())


def _slow_columns(path: Path, key: str, rows: pa.StructType) -> pa.Table:
    """The same through Python, which can say what is wrong and where."""
    places = enumerate(read_json_list(path, key))
    return records.table(
        [row | {"where": f"{path}, {key}[{place}]"} for place, row in places], pa.schema(list(rows))
    )


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
            part: _first_folder(folder, names)
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
        paths = list(dict.fromkeys(one for one in found if isinstance(one, str)))
        checked = dict(zip(paths, check_images(paths, self.cache, self.conversion), strict=True))
        measured = [checked[one] if isinstance(one, str) else one for one in found]
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
        folder, inner = self._place(name or "")
        if not inner or PureWindowsPath(inner).anchor or ".." in _PATH_SEPARATOR.split(inner):
            said = f"{name!r} is no image name inside {folder}"
            return Checked(str(folder), None, None, ("image name leaves the release", said))
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


def with_images(found: pa.Table, finder: ImageFinder) -> pa.Table:
    """Records with the columns of `ImageFinder.measure`; each distinct image is measured once.

    All are null where a record has no image name.
    """
    images = found["image"].combine_chunks().dictionary_encode()
    measured = finder.measure(images.dictionary)
    for name in measured.column_names:
        found = found.append_column(name, measured[name].take(images.indices))
    return found
