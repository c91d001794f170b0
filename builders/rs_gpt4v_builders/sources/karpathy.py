"""The caption layout of Karpathy's splits: UCM-Captions, Sydney-Captions, RSICD and RSITMD.

One object; ``images`` lists ``{filename, split, sentences: [{raw, tokens, ...}], ...}``. ``raw`` is
read: ``tokens`` differ from it (typos, empty tokens) and give other counts than the paper's.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders.sources.reading import described, read_json_list

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Our split names and the release's."""


def annotations(file: str, splits: Iterable[str] = SPLITS) -> dict[str, tuple[str, ...]]:
    """The annotation files of each split: every split lies in the one ``file``."""
    return dict.fromkeys(splits, (file,))


def read(
    folder: Path, split: str, _: Protocol, *, file: str, splits: Iterable[str] = SPLITS
) -> pa.Table:
    """The records of ``split`` in ``file`` of a release that has ``splits``."""
    path = folder / file
    rows = [
        record(image, raws(image.get("sentences")), f"{path}, {item}", item)
        for item, image in images(path).items()
    ]
    return of_split(rows, split, splits)


def images(path: Path) -> dict[str, dict[str, Any]]:
    """The images that ``path`` lists, by their place in it."""
    return {f"images[{n}]": image for n, image in enumerate(read_json_list(path, "images"))}


def raws(sentences: object) -> list[object]:
    """The sentences' texts; a list, which is no caption, for anything but an object."""
    items = sentences if isinstance(sentences, list) else [sentences] if sentences else []
    return [item.get("raw") if isinstance(item, dict) else [item] for item in items]


def record(
    image: dict[str, Any], raws: Sequence[object], where: str, item: str, folder: str = ""
) -> dict[str, Any]:
    """An image with its captions that are not blank; " ." is kept, as in the paper.

    Args:
        image: As released, with ``filename`` and ``split``.
        raws: Its captions.
        where: File and item of the image in it.
        item: The item alone: the key of an image without a name.
        folder: What to put before the image's name.
    """
    name = image.get("filename")
    captions = [
        raw for raw in raws if not (raw is None or (isinstance(raw, str) and not raw.strip()))
    ]
    missing = len(raws) - len(captions)
    return {
        "key": PurePosixPath(name).stem if isinstance(name, str) and name else item,
        "image": f"{folder}{name}" if isinstance(name, str) and name else name,
        "captions": captions,
        "split": image.get("split"),
        "where": where,
        "change": (
            "empty captions left out",
            f"{where}: {missing} of its {len(raws)} captions are empty",
        )
        if missing and captions
        else None,
    }


def of_split(
    rows: Iterable[dict[str, Any]],
    split: str,
    splits: Iterable[str],
    schema: pa.Schema = records.CAPTIONS,
) -> pa.Table:
    """The records of ``split``; with train come, unusable, those of no known split."""
    known = [SPLITS[name] for name in splits]
    chosen = []
    for row in rows:
        if row["split"] == SPLITS[split]:
            chosen.append(row)
        elif row["split"] not in known and split == "train":
            reason = f"split is {described(row['split'])}, not one of {', '.join(known)}"
            chosen.append(row | {"problem": ("unknown split", f"{row['where']}: {reason}")})
    return records.table(chosen, schema)
