"""Writes captions in the layout of Karpathy's splits: one JSON file beside a folder of images."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.captions import PER_IMAGE
from rs_gpt4v_builders.sample.files import Picture, new_folder, save

OLDER_KEYS = ("sentids", "imgid", "sentences", "split", "filename")
"""The key order of UCM-Captions and Sydney-Captions."""


def write_release(
    path: Path,
    images: str,
    pictures: Iterable[Picture],
    captions: Callable[[int, Picture], Sequence[str]],
    *,
    name: str,
    keys: Sequence[str] = ("filename", "imgid", "sentences", "split", "sentids"),
    spell: Callable[[str, int], str] = lambda token, _: token,
) -> None:
    """Draw the pictures and write the JSON file that describes them.

    Args:
        path: The JSON file.
        images: Folder of the images, beside it.
        pictures: What to draw.
        captions: ``captions(index, picture)`` returns the five captions of an image.
        name: Of the data set, as the file states it.
        keys: Order of an image's keys.
        spell: ``spell(token, sentence_id)`` returns a token as the release has it.
    """
    folder = new_folder(path.parent / images)
    records = []
    for index, picture in enumerate(pictures):
        save(picture.scene, picture.rng, folder / picture.name)
        sentences = captions(index, picture)
        record = caption_record(index, picture.name, picture.split, sentences, spell)
        records.append({key: record[key] for key in keys})
    write_captions(path, records, name)


def caption_record(
    index: int,
    name: str,
    split: str,
    sentences: Sequence[str],
    spell: Callable[[str, int], str] = lambda token, _: token,
) -> dict[str, Any]:
    """One image's record; ``tokens`` are ``raw`` without its stop, each as ``spell`` says."""
    return {
        "filename": name,
        "imgid": index,
        "sentences": [
            {
                "tokens": [spell(token, sentid) for token in raw.removesuffix(" .").split(" ")],
                "raw": raw,
                "imgid": index,
                "sentid": sentid,
            }
            for raw, sentid in zip(sentences, sentence_ids(index), strict=True)
        ],
        "split": split,
        "sentids": sentence_ids(index),
    }


def write_captions(path: Path, records: list[dict[str, Any]], name: str) -> None:
    """Write the JSON file of the data set ``name``."""
    path.write_text(_tabbed({"images": records, "dataset": name}), encoding="utf-8")


def sentence_ids(index: int) -> list[int]:
    """The ids of one image's captions."""
    return list(range(PER_IMAGE * index, PER_IMAGE * (index + 1)))


def _tabbed(value: Any, depth: int = 0) -> str:
    """JSON as the caption releases indent it: tabs, a list's elements level with its key."""
    tabs = "\t" * depth
    if isinstance(value, dict):
        members = [f'{tabs}\t"{key}": {_tabbed(item, depth + 1)}' for key, item in value.items()]
        return "{\n" + ",\n".join(members) + f"\n{tabs}}}"
    if isinstance(value, list):
        return "[" + f",\n{tabs}".join(_tabbed(item, depth) for item in value) + "]"
    return json.dumps(value)
