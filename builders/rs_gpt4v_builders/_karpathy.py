"""The caption layout of Karpathy's splits: UCM-Captions, Sydney-Captions, RSICD and RSITMD.

One object; ``images`` lists ``{filename, split, sentences: [{raw, tokens, ...}], ...}``. ``raw`` is
read: ``tokens`` differ from it (typos, empty tokens) and give other counts than the paper's.
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.source import AnnotationError, read_json_list

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Our split names and the release's."""


def annotations(file: str, splits: Iterable[str] = SPLITS) -> dict[str, tuple[str, ...]]:
    """The annotation files of each split: every split lies in the one ``file``."""
    return dict.fromkeys(splits, (file,))


def stated(captions: Iterable[str | None]) -> list[str]:
    """The captions that say something: blank ones are none, but " ." stays, as in the paper."""
    return [caption for caption in captions if caption and caption.strip()]


def read(path: Path, split: str) -> pa.Table:
    """The images of ``split`` with their captions, as `rs_gpt4v.records.CAPTIONS`.

    Raises:
        AnnotationError: An image has another structure, or a split that is none of the release's.
    """
    images = read_json_list(path, "images")
    for place, image in enumerate(images):
        _check(image, f"{path}, images[{place}]")
    rows = [
        {
            "key": PurePosixPath(image.get("filename") or f"imgid-{image.get('imgid')}").stem,
            "image": image.get("filename"),
            "captions": stated(s.get("raw") for s in image.get("sentences") or []),
        }
        for image in images
        if image["split"] == SPLITS[split]
    ]
    return pa.Table.from_pylist(rows, schema=records.CAPTIONS)


def _check(image: dict[str, Any], where: str) -> None:
    if image.get("split") not in SPLITS.values():
        found = image.get("split")
        raise AnnotationError(
            f"{where}: split is {found!r}, not one of {', '.join(SPLITS.values())}"
        )
    sentences = image.get("sentences") or []
    if not isinstance(sentences, list) or not all(isinstance(s, dict) for s in sentences):
        raise AnnotationError(f"{where}: sentences must be a list of objects")
    for value in (image.get("filename"), *(s.get("raw") for s in sentences)):
        if value is not None and not isinstance(value, str):
            raise AnnotationError(f"{where}: expected text, found {value!r}")
