"""The layouts in which others write a model's replies, and how each is recognised.

A format is what an item of the file (a JSON object, or a row of a table) calls its parts. It is
recognised by the names that its writer always writes; docs/imports.md says which code that is.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from rs_gpt4v_builders.sources.dialogues import ItemError
from rs_gpt4v_builders.sources.reading import described

Item = dict[str, Any]


class Result(NamedTuple):
    """One reply of others, and what the file says of the row that it belongs to.

    ``image`` is a name as the file has it, ``references`` are the true answers that it states.
    """

    where: str
    reply: str
    id: str | None = None
    image: str | None = None
    question: str | None = None
    references: tuple[str, ...] = ()
    question_type: str | None = None
    model: str | None = None


FIELDS = ("id", "image", "question", "prediction", "references", "question_type", "model")
"""What an item may say: the parts of a `Result`."""


def _as_it_is(item: Item) -> Item:
    return item


@dataclass(frozen=True)
class Format:
    """One layout.

    Attributes:
        name: What ``--format`` calls it.
        writer: Who writes it.
        needs: Names that an item has; of a tuple, one is enough.
        parts: What the file calls each of `FIELDS`; of several names, the first that an item has.
        all_of: Parts of which every name counts: the five captions of an image.
        prepared: Makes an item with these names of one that nests them.
        number: What it calls the place of an item among the rows that were asked, in whose order
            the results are taken then.
    """

    name: str
    writer: str
    needs: tuple[str | tuple[str, ...], ...]
    parts: Mapping[str, tuple[str, ...]]
    all_of: tuple[str, ...] = ()
    prepared: Callable[[Item], Item] = field(default=_as_it_is)
    number: str | None = None

    def fits(self, item: Item) -> bool:
        """Whether an item has the names of this format."""
        return all(
            any(name in item for name in ((need,) if isinstance(need, str) else need))
            for need in self.needs
        )

    def result(self, where: str, item: Item) -> Result:
        """What an item says.

        Raises:
            ItemError: It has no reply, or one that is no text.
        """
        item = self.prepared(item)
        values = {name: _first(item, names) for name, names in self.parts.items()}
        values |= {name: _every(item, self.parts[name]) for name in self.all_of}
        return Result(
            where,
            _reply(values.get("prediction"), self.parts["prediction"]),
            *(_text_or_none(values.get(name)) for name in ("id", "image", "question")),
            references=_texts(values.get("references")),
            question_type=_text_or_none(values.get("question_type")),
            model=_text_or_none(values.get("model")),
        )


def _first(item: Item, names: Iterable[str]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _every(item: Item, names: Iterable[str]) -> list[Any]:
    return [item[name] for name in names if item.get(name) is not None]


def _reply(value: Any, names: tuple[str, ...]) -> str:
    while isinstance(value, list) and len(value) == 1:
        (value,) = value
    if value is None or _is_nan(value) or str(value).startswith(_FAILED):
        raise ItemError("no reply", f"it has no {names[0]}, or what stands for none: {value!r:.80}")
    if (text := _text(value)) is None:
        raise ItemError(
            "no text", f"its {names[0]} is {described(value)}; expected one text or number"
        )
    return text


def _text(value: Any) -> str | None:
    """A text, or a number as one; None where it is something else.

    Raises:
        ItemError: It holds half a surrogate pair.
    """
    if isinstance(value, str):
        if not value.isascii() and _HALF_PAIR.search(value):
            raise ItemError("no text", "it holds half a surrogate pair, which is no text")
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number and not _is_nan(value) else None


_HALF_PAIR = re.compile("[\ud800-\udfff]")
_FAILED = "Failed to obtain answer"  # how VLMEvalKit begins what stands in place of a reply


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _text_or_none(value: Any) -> str | None:
    while isinstance(value, list) and value:  # a row of several images is known by the first
        value = value[0]
    if isinstance(value, dict):  # an image of a table of `datasets`, or of ms-swift
        value = value.get("path")
    return _text(value)


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(text for each in values if (text := _text(each)) is not None)


def _of_messages(item: Item) -> Item:
    """ms-swift: the question is the last one of the messages, which end with the reply."""
    messages = item.get("messages")
    asked = [
        message.get("content")
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, dict) and message.get("role") == "user"
    ]
    return {**item, "question": asked[-1] if asked else None}


def _of_sample(item: Item) -> Item:
    """lmms-eval: a task of `rs-gpt4v export lmms_eval` has our own line as its metrics' value."""
    lines = (value for value in item.values() if isinstance(value, dict) and "prediction" in value)
    replies = item.get("filtered_resps")
    own: Item = next(lines, {})
    return {"target": item.get("target"), "input": item.get("input"), **own, "replies": replies}


def _of_coco(item: Item) -> Item:
    """A number is the image's in an annotation file, and no name: UCM's image 0 is 1.tif."""
    image = item.get("image_id")
    is_name = isinstance(image, str) and not image.isdecimal()
    return {**item, "name" if is_name else "number": image}


_TABLE = {
    "id": ("id",),
    "image": ("image", "image_path", "image_name", "file_name", "filename", "images"),
    "question": ("question", "prompt", "query"),
    "prediction": ("prediction",),
    "references": ("references", "reference", "ground_truth", "answer"),
    "question_type": ("question_type", "type", "category"),
    "model": ("model",),
}

FORMATS = (
    Format(
        "earthdial",
        "EarthDial",
        ("question", "answer", ("annotation", "caption0", "gt_bbox")),
        {
            "question": ("question",),
            "prediction": ("answer",),
            "references": (
                *("annotation", "gt_bbox"),
                *(f"caption{number}" for number in range(10)),
            ),
            "question_type": ("vqa_type",),
        },
        all_of=("references",),
    ),
    Format(
        "llava",
        "LLaVA",
        ("question_id", "text", ("prompt", "answer_id")),
        {
            "id": ("question_id",),
            "image": ("image",),
            "question": ("prompt",),
            "prediction": ("text",),
            "model": ("model_id",),
        },
    ),
    Format(
        "geochat",
        "GeoChat",
        ("question_id", "image_id", "answer"),
        {
            "id": ("question_id",),
            "image": ("image_id",),
            "question": ("question",),
            "prediction": ("answer",),
            "references": ("ground_truth",),
            "question_type": ("type",),
        },
    ),
    Format(
        "rsevalkit",
        "RSEvalKit (VHM)",
        ("filename", "query", "pred"),
        {
            "image": ("filename",),
            "question": ("query",),
            "prediction": ("pred",),
            "references": ("answer",),
        },
    ),
    Format(
        "lhrs",
        "LHRS-Bot",
        ("pred", "target", ("question_id", "filename")),
        {
            "id": ("question_id",),
            "image": ("filename",),
            "prediction": ("pred",),
            "references": ("target",),
            "question_type": ("types",),
        },
    ),
    Format(
        "llama_factory",
        "LLaMA-Factory",
        ("predict", "label"),
        {"question": ("prompt",), "prediction": ("predict",), "references": ("label",)},
    ),
    Format(
        "ms_swift",
        "ms-swift",
        ("response", "messages"),
        {
            "id": ("id",),
            "image": ("images", "image"),
            "question": ("question",),
            "prediction": ("response",),
            "references": ("labels",),
        },
        prepared=_of_messages,
    ),
    Format(
        "lmms_eval",
        "lmms-eval",
        ("doc_id", "target", "filtered_resps"),
        {
            "id": ("id",),
            "image": ("image",),
            "question": ("prompt", "input"),
            "prediction": ("prediction", "replies"),
            "references": ("references", "target"),
            "question_type": ("question_type",),
        },
        prepared=_of_sample,
        number="doc_id",
    ),
    Format(
        "vlmevalkit",
        "VLMEvalKit",
        ("index", "question", "prediction"),
        {
            "id": ("id",),
            "image": ("image_path",),
            "question": ("question",),
            "prediction": ("prediction",),
            "references": ("answer",),
            "question_type": ("category",),
        },
        number="index",
    ),
    Format(
        "coco",
        "COCO captions",
        ("image_id", "caption"),
        {"id": ("number",), "image": ("name",), "prediction": ("caption",)},
        prepared=_of_coco,
    ),
    Format(
        "table",
        "a table",
        ("prediction", ("id", *_TABLE["image"], *_TABLE["question"])),
        _TABLE,
    ),
)
NAMES = tuple(each.name for each in FORMATS)


class ImportingError(ValueError):
    """Results of others cannot be imported; the message says which, why and what to do."""


def format_of(item: Item, name: str | None, fields: Mapping[str, str], file: str) -> Format:
    """The format of a file by its first ``item``, or the one that the user names.

    Args:
        item: The file's first object or row.
        name: ``--format``; None: recognised.
        fields: ``--fields``: the file's names of some of `FIELDS`.
        file: The file, for errors.

    Raises:
        ImportingError: It is no known format, or not the one that is named.
    """
    if unknown := [part for part in fields if part not in FIELDS]:
        raise ImportingError(
            f"--fields {unknown[0]}=...: expected one of {', '.join(FIELDS)} before the '='"
        )
    if absent := [name for name in fields.values() if name not in item]:
        raise ImportingError(
            f"{file}: the first item has no {', '.join(map(repr, absent))}; it has "
            f"{', '.join(item)}"
        )
    if fields:
        return _with_fields(name or "table", fields)
    if name is not None:
        return _named(name, item, file)
    fitting = [each for each in FORMATS if each.fits(item)]
    most = max((len(each.needs) for each in fitting), default=0)
    best = [each for each in fitting if len(each.needs) == most]
    if len(best) == 1:
        return best[0]
    if best:
        names = " or ".join(each.name for each in best)
        raise ImportingError(f"{file} may be {names}: say which with --format")
    raise ImportingError(
        f"{file}: the first item has {', '.join(item) or 'nothing'}, which is no known format "
        f"({', '.join(NAMES)}). Say what is what with --fields, such as --fields prediction=NAME "
        "--fields image=NAME --fields question=NAME"
    )


def _with_fields(name: str, fields: Mapping[str, str]) -> Format:
    known = _by_name(name)
    own = {part: (theirs,) for part, theirs in fields.items()}
    return replace(known, parts={**known.parts, **own}, prepared=_as_it_is)


def _named(name: str, item: Item, file: str) -> Format:
    known = _by_name(name)
    if known.fits(item):
        return known
    needs = (n if isinstance(n, str) else " or ".join(n) for n in known.needs)
    raise ImportingError(
        f"{file}: the first item is not as {known.writer} writes it: expected {', '.join(needs)}; "
        f"it has {', '.join(item)}"
    )


def _by_name(name: str) -> Format:
    for each in FORMATS:
        if each.name == name:
            return each
    raise ImportingError(f"--format {name}: expected one of {', '.join(NAMES)}")
