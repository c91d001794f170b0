"""RS-GPT4V-Instruct: dialogues and descriptions by GPT-4V on DIOR images (Xu et al., 2024).

On disk, and beside it the DIOR images, those of DIOR-RSVG or of DIOR itself::

    RS_GPT4V_Instruct/
      conversation_{train,test}.json   [{"id", "image": "00001.jpg", "conversations":
      detail_{train,test}.json           [{"from": "human" | "gpt", "value": "<image>..."}]}]
    DIOR_RSVG/JPEGImages/00001.jpg
    DIOR/{JPEGImages-trainval,JPEGImages-test}/00001.jpg

A release that `rs_gpt4v_generation.release` wrote has images of its own in ``images/`` where
they are not DIOR's.

The release could not be fetched. These file names are ours; the list is LLaVA's, which the one
published reader of the release expects. So this reader takes what is published in that form: a
list or one item a line; ``image`` or ``images`` with one name; ``conversations`` of ``from`` and
``value`` or ``messages`` of ``role`` and ``content``. ``id`` may be absent, ``<image>`` is taken
out wherever it stands, and a system message before the first question is kept. Answers before it
and a last question without an answer are left out, which is logged and listed.

An image is where its path says: beside the JSON file, in the release's folder or in the data root.
A number without a folder, ``00001.jpg``, that is in none of them is DIOR's image of that number;
no other image is ever looked for by its name alone.
"""

import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path, PureWindowsPath
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders.sources.reading import (
    AnnotationError,
    described,
    parse_json,
    read_json,
    read_text,
)
from rs_gpt4v_builders.sources.source import Source
from rs_gpt4v_builders.sources.voc_xml import LAST_TRAINING_IMAGE

logger = logging.getLogger(__name__)

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_SPLITS = ("train", "test")
_MOST_DIGITS = 9  # of DIOR's number of an image
_DIOR_RSVG = tuple(f"../{name}/JPEGImages" for name in ("DIOR_RSVG", "DIOR-RSVG", "dior_rsvg"))
_ROOT = "data root"  # the first part of the name of an image that is there as given


class _ItemError(ValueError):
    """What is wrong with an item: kind and reason of `rs_gpt4v.records.PROBLEM`."""


def _read(folder: Path, split: str, _: Protocol, *, kind: str) -> pa.Table:
    source = DETAIL if kind == "detail" else SOURCE
    path = source.path(folder, f"{kind}_{split}.json")
    _tell_of_other_files(path, kind)
    items = _items(path)
    find = lru_cache(None)(partial(_place, path.parent, folder))
    rows = [
        # An export of ours has ids of ours.
        {"key": key.removeprefix(f"{source.name}/{split}/"), **_row(item, where, find)}
        for key, (where, item) in zip(_keys([item for _, item in items]), items, strict=True)
    ]
    return records.table(rows, records.DIALOGUES)


def _tell_of_other_files(path: Path, kind: str) -> None:
    """Log the lists of splits that are none of ours."""
    known = {Path(n).name for f, names in _spellings(kind).items() for n in (f, *names)}
    others = [
        file.name for file in sorted(path.parent.glob(f"{kind}_*.json*")) if file.name not in known
    ]
    if others:
        logger.warning("%s: not read, no split of ours: %s", path.parent, ", ".join(others))


def _items(path: Path) -> list[tuple[str, Any]]:
    """The items of a JSON list, or of a file with one a line, each with where it stands.

    Raises:
        AnnotationError: The file is neither.
    """
    try:
        content = read_json(path)
    except AnnotationError:
        text = read_text(path).split("\n")  # splitlines() also parts at the U+2028 of a text
        lines = [(n, line) for n, line in enumerate(text, 1) if line.strip()]
        items = [(f"{path}, line {number}", _parsed(line)) for number, line in lines]
        if not items or not isinstance(items[0][1], dict):
            raise
        return items
    if isinstance(content, dict) and _turns(content) is not None:
        content = [content]  # a file of one line
    if not isinstance(content, list):
        raise AnnotationError(
            f"{path}: expected a list of objects, or an object a line, found {described(content)}"
        )
    return [(f"{path}, item {index}", item) for index, item in enumerate(content)]


def _parsed(line: str) -> Any:
    try:
        return parse_json(line)
    except (ValueError, RecursionError):
        return line


def _keys(items: Sequence[Any]) -> list[str]:
    """The items' ids where each has its own, or else their places in the file, from 0."""
    stated = [item.get("id") for item in items if isinstance(item, dict)]
    ids = [str(i) for i in stated if isinstance(i, str | int)]
    if len(set(filter(str.strip, ids))) == len(items):
        return ids
    return [f"{index:06d}" for index in range(len(items))]


def _row(item: Any, where: str, find: Callable[[str], str]) -> dict[str, Any]:
    """The record of an item, but for its key."""
    try:
        image = find(_image_name(item))
        messages, left_out = _messages(item)
    except _ItemError as problem:
        kind, reason = problem.args
        return {"where": where, "problem": (kind, f"{where}: {reason}")}
    reason = f"{where}: {left_out} turns before the first question or after the last answer"
    change = ("turns left out", reason) if left_out else None
    return {"where": where, "image": image, "messages": messages, "change": change}


def _image_name(item: Any) -> str:
    """The one image that an item names."""
    if not isinstance(item, dict):
        raise _ItemError("item of another form", f"expected an object, found {described(item)}")
    name = item.get("image", item.get("images"))
    if isinstance(name, list) and len(name) > 1:
        raise _ItemError("several images", f"it has {len(name)} images, expected one")
    if isinstance(name, list):
        name = name[0] if name else None
    if name is None:
        reason = f"it names no image under 'image' or 'images': it is {described(item)}"
        raise _ItemError("no image", reason)
    if not isinstance(name, str) or not name.strip():
        raise _ItemError("no image", f"its image is {described(name)}, expected a file's name")
    return name.strip()


def _place(beside: Path, folder: Path, name: str) -> str:
    """An image's name behind the part that says in which of the source's folders it is."""
    root = folder.parent
    path = name.replace("\\", "/")
    if PureWindowsPath(path).drive or (path.startswith("/") and not _within(path, root)):
        reason = f"{name!r} is a path outside {root}: give it relative to that folder"
        raise _ItemError("image path leaves the data root", reason)
    for parent in (beside, folder, root):
        for spelling in _spelt(os.path.normpath(parent / path)):
            # os.path: False, not an error, where a name is too long or holds a NUL.
            if _within(spelling, root) and os.path.isfile(spelling):  # noqa: PTH113
                return f"{_ROOT}/{Path(spelling).relative_to(root).as_posix()}"
    bare = Path(os.path.normpath(path))
    if bare.name == str(bare) and bare.stem.isdecimal() and len(bare.stem) <= _MOST_DIGITS:
        is_test = int(bare.stem) > LAST_TRAINING_IMAGE
        return f"{'DIOR_test' if is_test else 'DIOR_trainval'}/{bare.name}"
    looked = " nor ".join(str(parent) for parent in dict.fromkeys((beside, folder, root)))
    raise _ItemError("image is missing", f"{name!r:.200} is not in {looked}")


def _within(path: str, root: Path) -> bool:
    return Path(os.path.normpath(path)).is_relative_to(root)


def _spelt(path: str) -> tuple[str, ...]:
    """The path, and with its suffix in the other case: 1.JPG and 1.jpg are one name on Windows."""
    stem, suffix = os.path.splitext(path)  # noqa: PTH122 - a string of a path, not a Path
    return path, stem + suffix.lower(), stem + suffix.upper()


_FOLDER = re.compile(rb'"images?"\s*:\s*\[?\s*"((?:\./)*[^"/\\]+)[/\\]')


def _named_folders(kind: str, folder: Path) -> list[Path]:
    """The folders of the data root in which images of the lists may be, as far as they exist."""
    source = DETAIL if kind == "detail" else SOURCE
    files = [source.path(folder, file) for file in source.annotation_files()]
    texts = [file.read_bytes() for file in files if file.is_file()]
    names = sorted({os.fsdecode(name) for text in texts for name in _FOLDER.findall(text)})
    return [folder.parent / name for name in names if (folder.parent / name).is_dir()]


def _turns(item: dict[str, Any]) -> Any:
    return item.get("conversations", item.get("messages"))


def _messages(item: dict[str, Any]) -> tuple[list[dict[str, str]], int]:
    """The dialogue from its first question to its last answer, and how many turns that leaves out.

    A system message at its start is kept.
    """
    turns = _turns(item)
    if not isinstance(turns, list) or not turns:
        reason = "expected a list under 'conversations' or 'messages'"
        raise _ItemError("no messages", f"{reason}, found {described(turns)} in {described(item)}")
    messages = [_message(turn, index) for index, turn in enumerate(turns)]
    system = messages[:1] if messages[0]["role"] == "system" else []
    spoken = messages[len(system) :]
    start = next((n for n, m in enumerate(spoken) if m["role"] == "user"), len(spoken))
    end = len(spoken) - (spoken[-1:] != [] and spoken[-1]["role"] == "user")
    if start >= end:
        raise _ItemError("no messages", "it has no question with an answer")
    return system + spoken[start:end], len(spoken) - (end - start)


def _message(turn: Any, index: int) -> dict[str, str]:
    if not isinstance(turn, dict):
        reason = f"turn {index} is {described(turn)}, expected an object"
        raise _ItemError("turn of another form", reason)
    speaker = turn.get("from", turn.get("role"))
    if not isinstance(speaker, str) or speaker.strip().lower() not in _ROLES:
        reason = f"turn {index} is by {described(speaker)}, expected {', '.join(_ROLES)}"
        raise _ItemError("unknown speaker", f"{reason}; it is {described(turn)}")
    value = turn.get("value", turn.get("content"))
    if (words := _words(value)) is None:
        reason = f"turn {index} says {described(value)}, expected text under 'value' or 'content'"
        raise _ItemError("turn without text", f"{reason}; it is {described(turn)}")
    role = _ROLES[speaker.strip().lower()]
    return {"role": role, "content": re.sub(" ?<image>", "", words).strip()}


def _words(value: Any) -> str | None:
    """A turn's text: a string, a whole number, or the texts of a list of parts."""
    if type(value) is int:
        return str(value)
    if isinstance(value, list):
        texts = [_part(part) for part in value if isinstance(part, dict)]
        whole = len(texts) == len(value) and None not in texts
        return "\n".join(text for text in texts if text) if whole else None
    return value if isinstance(value, str) else None


def _part(part: dict[str, Any]) -> str | None:
    """The text of a part; that of an image is empty, that of anything else is unknown."""
    if part.get("type") == "image":
        return ""
    text = part.get("text")
    return text if part.get("type") == "text" and isinstance(text, str) else None


def _annotations(kind: str) -> dict[str, tuple[str, ...]]:
    return {split: (f"{kind}_{split}.json",) for split in _SPLITS}


def _spellings(kind: str) -> dict[str, tuple[str, ...]]:
    folders = (f"{kind}/{{}}.json", f"{{}}/{kind}.json", f"{{}}_{kind}.json", f"{kind}_{{}}.jsonl")
    return {
        f"{kind}_{split}.json": tuple(name.format(split) for name in folders) for split in _SPLITS
    }


SOURCE = Source(
    name="rs_gpt4v_instruct",
    title="RS-GPT4V-Instruct, conversations",
    homepage="https://github.com/GeoX-Lab/RS-GPT4V",
    license="Apache-2.0",
    citation="@article{xu2024rsgpt4v, title={RS-GPT4V: A unified multimodal instruction-following "
    "dataset for remote sensing image understanding}, author={Xu, Linrui and Zhao, Ling and "
    "Guo, Wang and Li, Qiujuan and Long, Kewang and Zou, Kaiqi and Wang, Yuhan and Li, Haifeng}, "
    "journal={arXiv:2406.12479}, year={2024}}",
    folders=("RS_GPT4V_Instruct", "RS-GPT4V-Instruct", "rs_gpt4v_instruct"),
    annotations=_annotations("conversation"),
    spellings=_spellings("conversation"),
    images=(".",),
    other_images={
        _ROOT: ("..",),
        "DIOR_trainval": ("../DIOR/JPEGImages-trainval", "../DIOR/JPEGImages", *_DIOR_RSVG),
        "DIOR_test": ("../DIOR/JPEGImages-test", "../DIOR/JPEGImages", *_DIOR_RSVG),
    },
    reader=partial(_read, kind="conversation"),
    named_images=partial(_named_folders, "conversation"),
    mirrors=("https://pan.baidu.com/s/1Fz0KDpgp-_33BN8XTyQlBQ (code 5jny)",),
    note="RS-GPT4V-Instruct holds no images: a number without a folder is DIOR's image of that "
    "number (https://gcheng-nwpu.github.io), which DIOR-RSVG brings too.",
)

DETAIL = replace(
    SOURCE,
    name="rs_gpt4v_instruct_detail",
    title="RS-GPT4V-Instruct, detailed descriptions",
    annotations=_annotations("detail"),
    spellings=_spellings("detail"),
    reader=partial(_read, kind="detail"),
    named_images=partial(_named_folders, "detail"),
)
