"""The caption layout of Karpathy's splits: UCM-Captions, Sydney-Captions, RSICD and RSITMD.

One object; ``images`` lists ``{filename, split, sentences: [{raw, tokens, ...}], ...}``. ``raw`` is
read: ``tokens`` differ from it (typos, empty tokens) and give other counts than the paper's.
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.source import read_json_list

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Our split names and the release's."""


def annotations(file: str, splits: Iterable[str] = SPLITS) -> dict[str, tuple[str, ...]]:
    """The annotation files of each split: every split lies in the one ``file``."""
    return dict.fromkeys(splits, (file,))


def stated(captions: Iterable[str | None]) -> list[str]:
    """The captions that say something: blank ones are none, but " ." stays, as in the paper."""
    return [caption for caption in captions if caption and caption.strip()]


def read(path: Path, split: str) -> pa.Table:
    """The images of ``split`` with their captions, as `rs_gpt4v.records.CAPTIONS`."""
    rows = [
        {
            "key": PurePosixPath(image.get("filename") or f"imgid-{image.get('imgid')}").stem,
            "image": image.get("filename"),
            "captions": stated(s.get("raw") for s in image.get("sentences") or []),
        }
        for image in read_json_list(path, "images")
        if image.get("split") == SPLITS[split]
    ]
    return pa.Table.from_pylist(rows, schema=records.CAPTIONS)
