"""Writes RSVQA-LR: 256 px TIFFs, with the files on all splits."""

from itertools import cycle
from pathlib import Path

from rs_gpt4v_builders.sample.files import Splits, listed, mixed, pictures_of
from rs_gpt4v_builders.sample.layouts import KINDS
from rs_gpt4v_builders.sample.questions import lr_questions
from rs_gpt4v_builders.sample.releases import rsvqa

SPLITS: Splits = {"train": 360, "val": 15, "test": 60}

# Many images with few questions each: a small model learns to look only from many images.
_KINDS = (*KINDS, "landscape", "landscape", "landscape")


def write(root: Path, seed: int, scale: float) -> None:
    """``RSVQA_LR/``."""
    shown = zip(cycle(_KINDS), mixed("lr", seed, listed(SPLITS, scale)))
    rsvqa.write_release(
        root / "RSVQA_LR" / "Images_LR",
        pictures_of("lr", seed, shown, 256, 10.0, lambda index, _: f"{index}.tif"),
        lr_questions,
        prefixes=("all_", "LR_split"),
        sensor="S2",
        resolution="10m",
    )
