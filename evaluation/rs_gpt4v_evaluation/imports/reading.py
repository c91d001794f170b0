"""Files of others' results, as `Result` objects; what cannot be read of one is said."""

import gzip
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rs_gpt4v.files import AnyPath
from rs_gpt4v_builders.folder.layout import SUFFIXES
from rs_gpt4v_builders.folder.tables import items
from rs_gpt4v_builders.sources.dialogues import ItemError
from rs_gpt4v_builders.sources.reading import described, open_text, read_json
from rs_gpt4v_evaluation.harnesses import vlmevalkit
from rs_gpt4v_evaluation.imports.formats import Format, ImportingError, Item, Result, format_of
from rs_gpt4v_evaluation.imports.matching import LeftOut


class ResultsFile(NamedTuple):
    """What a file holds: its format, its results, and the items that give none."""

    format: Format
    results: list[Result]
    unreadable: list[LeftOut]


def read_results(
    path: AnyPath, name: str | None = None, fields: Mapping[str, str] | None = None
) -> ResultsFile:
    """Read a file of results; see docs/imports.md for the formats.

    An item that cannot be read fails itself alone.

    Args:
        path: JSON, JSON lines, CSV, TSV, Parquet or .xlsx; all but the last two may be gzipped.
        name: One of `rs_gpt4v_evaluation.imports.formats.NAMES`; None: recognised.
        fields: What the file calls some parts: ``{"prediction": "reply", "image": "file"}``.

    Raises:
        ImportingError: It holds nothing, or no known format.
        AnnotationError: It is no such file.
    """
    path = Path(path)
    entries = list(_entries(path))
    first: Item | None = next((item for _, item in entries if isinstance(item, dict)), None)
    if first is None:
        raise ImportingError(f"{path} holds no results: expected objects, or rows below a head")
    format = format_of(first, name, fields or {}, str(path))
    read = [_result(format, where, item) for where, item in _in_order(entries, format.number)]
    return ResultsFile(
        format,
        [each for each in read if isinstance(each, Result)],
        [each for each in read if isinstance(each, LeftOut)],
    )


def _in_order(entries: list[tuple[str, Any]], number: str | None) -> list[tuple[str, Any]]:
    """The items as the rows were asked, where all of them say when; several processes mix them."""
    places = [item.get(number) if isinstance(item, dict) else None for _, item in entries]
    texts = [str(place) for place in places]
    if number is None or not all(text.isdecimal() for text in texts):
        return entries
    return [entries[i] for i in sorted(range(len(entries)), key=lambda i: int(texts[i]))]


def is_exported(path: AnyPath) -> bool:
    """Whether it is a table of ours, with the replies that VLMEvalKit added."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".tsv":
        with open_text(path) as file:
            head = file.readline()
        return all(name in head for name in vlmevalkit.OURS)
    return suffix == ".xlsx" and {*vlmevalkit.OURS} <= {*vlmevalkit.read_table(path, 0).columns}


def _result(format: Format, where: str, item: Any) -> Result | LeftOut:
    try:
        return format.result(where, _object(item))
    except ItemError as error:
        kind, reason = error.args
        return LeftOut(where, kind, reason)


def _object(item: Any) -> Item:
    if isinstance(item, ItemError):
        raise item
    if not isinstance(item, dict):
        raise ItemError("no object", f"expected a JSON object, found {described(item)}")
    return item


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Each item with where it stands."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / path.stem
            plain.write_bytes(_unzipped(path))
            for where, item in _entries(plain):
                yield where.replace(str(plain), str(path)), item
    elif suffix == ".xlsx":
        rows = vlmevalkit.read_table(path).to_dict("records")
        yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, start=2))
    elif suffix in SUFFIXES:
        yield from items(path)
    else:
        raise ImportingError(
            f"{path}: expected {', '.join(SUFFIXES)} or .xlsx, or one of them with .gz: rename it "
            "by what it holds"
        )


def _unzipped(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise ImportingError(f"{path}: expected a gzipped file, but {error}") from error


def with_questions(file: ResultsFile, questions: AnyPath) -> ResultsFile:
    """The results with the image and question that another file gives for their ids.

    Args:
        file: Results that have ids: LLaVA's answers, COCO's captions.
        questions: LLaVA's questions (question_id, image, text), or an annotation file with
            ``images`` (COCO: id, file_name; Karpathy: imgid, filename).

    Raises:
        ImportingError: Two entries of an id differ, or no result has an id of the file.
    """
    questions = Path(questions)
    by_id = _asked(questions)
    completed, unreadable = [], [*file.unreadable]
    for result in file.results:
        asked = by_id.get(result.id or "")
        if asked is None:
            reason = f"{questions} has no id {result.id!r}"
            unreadable.append(LeftOut(result.where, "unknown question id", reason))
            continue
        image, question = asked
        completed.append(
            result._replace(
                id=None, image=result.image or image, question=question or result.question
            )
        )
    if not completed:
        raise ImportingError(
            f"{questions} has none of the ids of the results: {unreadable[0].where}: "
            f"{unreadable[0].reason}"
        )
    return file._replace(results=completed, unreadable=unreadable)


_ID = ("question_id", "id", "imgid", "image_id")
_IMAGE = ("image", "file_name", "filename", "image_path")
_QUESTION = ("text", "question", "query")


def _asked(path: Path) -> dict[str, tuple[str | None, str | None]]:
    """The image and the question of each id."""
    by_id: dict[str, tuple[str | None, str | None]] = {}
    for where, entry in _entries_of_questions(path):
        if not isinstance(entry, dict):
            raise ImportingError(f"{where}: expected an object, found {described(entry)}")
        key = next((entry[name] for name in _ID if name in entry), None)
        image, question = (
            next((v for n in names if isinstance(v := entry.get(n), str)), None)
            for names in (_IMAGE, _QUESTION)
        )
        question = question or _first_turn(entry)
        if key is None or image is None:
            raise ImportingError(
                f"{where}: expected an id ({', '.join(_ID)}) and an image ({', '.join(_IMAGE)}); "
                f"it has {', '.join(entry)}"
            )
        if by_id.setdefault(str(key), (image, question)) != (image, question):
            raise ImportingError(f"{where}: the id {key!r} is there twice, with different content")
    return by_id


def _first_turn(entry: Item) -> str | None:
    turns = entry.get("conversations")
    first = turns[0] if isinstance(turns, list) and turns else None
    value = first.get("value") if isinstance(first, dict) else None
    return value if isinstance(value, str) else None


def _entries_of_questions(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix.lower() == ".json":
        content = read_json(path)
        if isinstance(content, dict) and isinstance(content.get("images"), list):
            for index, image in enumerate(content["images"]):
                yield f"{path}, images[{index}]", image
            return
    yield from _entries(path)
