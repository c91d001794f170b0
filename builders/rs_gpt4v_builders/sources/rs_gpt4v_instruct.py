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
published reader of the release expects. So this reader takes what is published in that form, see
`rs_gpt4v_builders.sources.dialogues`; each item needs an image.

An image is where its path says: beside the JSON file, in the release's folder or in the data root.
A number without a folder, ``00001.jpg``, that is in none of them is DIOR's image of that number;
no other image is ever looked for by its name alone.
"""

import logging
import os
import re
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path, PureWindowsPath
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders.sources import dialogues
from rs_gpt4v_builders.sources.dialogues import ItemError
from rs_gpt4v_builders.sources.source import Source
from rs_gpt4v_builders.sources.voc_xml import LAST_TRAINING_IMAGE

logger = logging.getLogger(__name__)

_MOST_DIGITS = 9  # of DIOR's number of an image
_DIOR_RSVG = tuple(f"../{name}/JPEGImages" for name in ("DIOR_RSVG", "DIOR-RSVG", "dior_rsvg"))
_ROOT = "data root"  # the first part of the name of an image that is there as given


def _read(folder: Path, split: str, _: Protocol, *, kind: str) -> pa.Table:
    source = _source(kind)
    path = source.path(folder, f"{kind}_{split}.json")
    _tell_of_other_files(path, kind)
    items = dialogues.items(path)
    find = lru_cache(None)(partial(_place, path.parent, folder))
    keys = dialogues.keys([item for _, item in items])
    rows = [
        # An export of ours has ids of ours.
        {
            "key": key.removeprefix(f"{source.name}/{split}/"),
            **dialogues.record(item, where, find),
        }
        for key, (where, item) in zip(keys, items, strict=True)
    ]
    return records.table(rows, records.DIALOGUES)


def _source(kind: str) -> Source:
    return DETAIL if kind == "detail" else SOURCE


def _tell_of_other_files(path: Path, kind: str) -> None:
    """Log the lists of splits that are none of ours."""
    spellings = _source(kind).spellings
    known = {Path(name).name for file, names in spellings.items() for name in (file, *names)}
    files = [file.name for file in sorted(path.parent.glob(f"{kind}_*.json*"))]
    others = [name for name in files if name not in known]
    if others:
        logger.warning("%s: not read, no split of ours: %s", path.parent, ", ".join(others))


def _place(beside: Path, folder: Path, name: str) -> str:
    """An image's name behind the part that says in which of the source's folders it is."""
    root = folder.parent
    path = name.replace("\\", "/")
    if PureWindowsPath(path).drive or (path.startswith("/") and not _within(path, root)):
        reason = f"{name!r} is a path outside {root}: give it relative to that folder"
        raise ItemError("image path leaves the data root", reason)
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
    raise ItemError("image is missing", f"{name!r:.200} is not in {looked}")


def _within(path: str, root: Path) -> bool:
    return Path(os.path.normpath(path)).is_relative_to(root)


def _spelt(path: str) -> tuple[str, ...]:
    """The path, and with its suffix in the other case: 1.JPG and 1.jpg are one name on Windows."""
    stem, suffix = os.path.splitext(path)  # noqa: PTH122 - a string of a path, not a Path
    return path, stem + suffix.lower(), stem + suffix.upper()


_FOLDER = re.compile(rb'"images?"\s*:\s*\[?\s*"((?:\./)*[^"/\\]+)[/\\]')


def _named_folders(kind: str, folder: Path) -> list[Path]:
    """The folders of the data root in which images of the lists may be, as far as they exist."""
    source = _source(kind)
    files = [source.path(folder, file) for file in source.annotation_files()]
    texts = [file.read_bytes() for file in files if file.is_file()]
    names = sorted({os.fsdecode(name) for text in texts for name in _FOLDER.findall(text)})
    return [folder.parent / name for name in names if (folder.parent / name).is_dir()]


def _by_kind(kind: str) -> dict[str, Any]:
    """The fields of a source that depend on the kind of its dialogues."""
    names = (f"{kind}/{{}}.json", f"{{}}/{kind}.json", f"{{}}_{kind}.json", f"{kind}_{{}}.jsonl")
    files = {split: f"{kind}_{split}.json" for split in ("train", "test")}
    return {
        "annotations": {split: (file,) for split, file in files.items()},
        "spellings": {f: tuple(name.format(split) for name in names) for split, f in files.items()},
        "reader": partial(_read, kind=kind),
        "named_images": partial(_named_folders, kind),
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
    images=(".",),
    other_images={
        _ROOT: ("..",),
        "DIOR_trainval": ("../DIOR/JPEGImages-trainval", "../DIOR/JPEGImages", *_DIOR_RSVG),
        "DIOR_test": ("../DIOR/JPEGImages-test", "../DIOR/JPEGImages", *_DIOR_RSVG),
    },
    mirrors=("https://pan.baidu.com/s/1Fz0KDpgp-_33BN8XTyQlBQ (code 5jny)",),
    note="RS-GPT4V-Instruct holds no images: a number without a folder is DIOR's image of that "
    "number (https://gcheng-nwpu.github.io), which DIOR-RSVG brings too.",
    **_by_kind("conversation"),
)

DETAIL = replace(
    SOURCE,
    name="rs_gpt4v_instruct_detail",
    title="RS-GPT4V-Instruct, detailed descriptions",
    **_by_kind("detail"),
)
