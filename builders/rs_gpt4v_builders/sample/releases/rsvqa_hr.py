"""Writes RSVQA-HR: 512 px TIFFs, one city's scenes kept apart as ``test_phili``."""

from itertools import cycle
from pathlib import Path

from rs_gpt4v_builders.sample.files import Splits, listed, mixed, pictures_of
from rs_gpt4v_builders.sample.layouts import KINDS
from rs_gpt4v_builders.sample.questions import hr_questions
from rs_gpt4v_builders.sample.releases import rsvqa

SPLITS: Splits = {"train": 70, "val": 8, "test": 12, "test_phili": 10}

# Many images with few questions each: a small model learns to look only from many images.
_KINDS = (*KINDS, "landscape", "residential", "landscape", "commercial")


def write(root: Path, seed: int, scale: float) -> None:
    """``RSVQA_HR/``."""
    shown = zip(cycle(_KINDS), mixed("hr", seed, listed(SPLITS, scale)))
    rsvqa.write_release(
        root / "RSVQA_HR" / "Data",
        pictures_of("hr", seed, shown, 512, 0.1524, lambda index, _: f"{index}.tif"),
        hr_questions,
        prefixes=("USGS", "USGS_split"),
        sensor="ULTRACAM_EAGLE_FALCON",
        resolution=".1524m",
    )
