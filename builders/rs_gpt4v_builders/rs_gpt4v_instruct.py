"""RS-GPT4V-Instruct: dialogues and descriptions by GPT-4V on DIOR images (Xu et al., 2024).

On disk, and beside it the DIOR images, those of DIOR-RSVG or of DIOR itself::

    RS_GPT4V_Instruct/
      conversation_{train,test}.json   [{"id", "image": "00001.jpg", "conversations":
      detail_{train,test}.json           [{"from": "human" | "gpt", "value": "<image>..."}]}]
    DIOR_RSVG/JPEGImages/00001.jpg
    DIOR/{JPEGImages-trainval,JPEGImages-test}/00001.jpg

A release that `rs_gpt4v_builders.export.instruct` wrote has images of its own in ``images/`` where
they are not DIOR's.

The release could not be fetched. These file names are ours; the list is LLaVA's, which the one
published reader of the release expects. So this reader is lenient: ``id`` may be absent, folders
before an image's name are dropped, ``<image>`` is taken out wherever it stands, turns before the
first human one are left out, and so is a last question without an answer. A dialogue in which the
speakers do not take turns, or one says nothing, is unusable.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v.source import AnnotationError, Source, read_json
from rs_gpt4v_builders._dior_xml import LAST_TRAINING_IMAGE

_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
_SPLITS = ("train", "test")
_DIOR_RSVG = tuple(f"../{name}/JPEGImages" for name in ("DIOR_RSVG", "DIOR-RSVG", "dior_rsvg"))


def _read(folder: Path, split: str, _: Protocol, *, kind: str) -> pa.Table:
    source = DETAIL if kind == "detail" else SOURCE
    path = source.path(folder, f"{kind}_{split}.json")
    items = read_json(path)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise AnnotationError(f"{path}: expected a list of objects, found {type(items).__name__}")
    rows = [
        {
            # An export of ours has ids of ours.
            "key": key.removeprefix(f"{source.name}/{split}/"),
            "image": _image(item.get("image"), folder),
            "messages": _messages(item.get("conversations")),
        }
        for key, item in zip(_keys(items), items, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=records.DIALOGUES)


def _keys(items: list[dict[str, Any]]) -> list[str]:
    """The items' ids where each has its own, or else their places in the file, from 0."""
    ids = [str(item["id"]) for item in items if isinstance(item.get("id"), (str, int))]
    if len(set(filter(str.strip, ids))) == len(items):
        return ids
    return [f"{place:06d}" for place in range(len(items))]


def _image(name: object, folder: Path) -> str | None:
    """The image's name behind the part that tells in which folder of DIOR it is, or as it is."""
    if not isinstance(name, str) or not name.strip():
        return None
    if name.startswith("images/") and (folder / name).is_file():
        return name
    bare = PurePosixPath(name.replace("\\", "/"))
    is_test = bare.stem.isdecimal() and int(bare.stem) > LAST_TRAINING_IMAGE
    return f"{'DIOR_test' if is_test else 'DIOR_trainval'}/{bare.name}"


def _messages(turns: object) -> list[dict[str, str | None]]:
    """The dialogue from its first question to its last answer; a speaker unknown is null."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return []
    messages = [{"role": _ROLES.get(str(t.get("from"))), "content": _words(t)} for t in turns]
    while messages and messages[0]["role"] != "user":
        messages.pop(0)
    if messages and messages[-1]["role"] == "user":
        messages.pop()
    return messages


def _words(turn: dict[str, Any]) -> str:
    value = turn.get("value")
    return value.replace("<image>", "").strip() if isinstance(value, str) else ""


def _annotations(kind: str) -> dict[str, tuple[str, ...]]:
    return {split: (f"{kind}_{split}.json",) for split in _SPLITS}


def _spellings(kind: str) -> dict[str, tuple[str, ...]]:
    folders = (f"{kind}/{{}}.json", f"{{}}/{kind}.json", f"{{}}_{kind}.json")
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
        "DIOR_trainval": ("../DIOR/JPEGImages-trainval", "../DIOR/JPEGImages", *_DIOR_RSVG),
        "DIOR_test": ("../DIOR/JPEGImages-test", "../DIOR/JPEGImages", *_DIOR_RSVG),
    },
    reader=partial(_read, kind="conversation"),
    mirrors=("https://pan.baidu.com/s/1Fz0KDpgp-_33BN8XTyQlBQ (code 5jny)",),
    note="RS-GPT4V-Instruct holds no images: they are those of DIOR "
    "(https://gcheng-nwpu.github.io), which DIOR-RSVG brings too.",
)

DETAIL = replace(
    SOURCE,
    name="rs_gpt4v_instruct_detail",
    title="RS-GPT4V-Instruct, detailed descriptions",
    annotations=_annotations("detail"),
    spellings=_spellings("detail"),
    reader=partial(_read, kind="detail"),
)
