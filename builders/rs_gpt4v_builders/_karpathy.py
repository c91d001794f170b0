"""The caption layout of Karpathy's splits, which UCM-Captions, Sydney-Captions and RSICD share.

One object; ``images`` lists ``{filename, split, sentences: [{raw, tokens, ...}], ...}``. ``raw`` is
read: ``tokens`` differ from it (typos, empty tokens) and give other counts than the paper's.
"""

from pathlib import Path, PurePosixPath

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.source import read_json_list

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Our split names and the release's."""


def annotations(file: str) -> dict[str, tuple[str, ...]]:
    """The annotation files of each split: every split lies in the one ``file``."""
    return dict.fromkeys(SPLITS, (file,))


def read(path: Path, split: str) -> pa.Table:
    """The images of ``split`` with their captions, as `rs_gpt4v.records.CAPTIONS`."""
    rows = [
        {
            "key": PurePosixPath(image.get("filename") or f"imgid-{image.get('imgid')}").stem,
            "image": image.get("filename"),
            "captions": [sentence.get("raw") for sentence in image.get("sentences") or []],
        }
        for image in read_json_list(path, "images")
        if image.get("split") == SPLITS[split]
    ]
    return pa.Table.from_pylist(rows, schema=records.CAPTIONS)
