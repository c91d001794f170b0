"""Writes RSVQA-HR: 512 px TIFFs, one city's scenes kept apart as ``test_phili``."""

from pathlib import Path

from rs_gpt4v_builders.sample.files import Splits, listed, make_scene, mixed, new_folder, save
from rs_gpt4v_builders.sample.layouts import KINDS
from rs_gpt4v_builders.sample.questions import Balance, Question, hr_questions
from rs_gpt4v_builders.sample.releases import rsvqa

SPLITS: Splits = {"train": 70, "val": 8, "test": 12, "test_phili": 10}

# Many images with few questions each: a small model learns to look only from many images.
_KINDS = (*KINDS, "landscape", "residential", "landscape", "commercial")


def write(root: Path, seed: int, scale: float) -> None:
    """``RSVQA_HR/``."""
    folder = root / "RSVQA_HR"
    images = new_folder(folder / "Data")
    splits = mixed("hr", seed, listed(SPLITS, scale))

    def questions(index: int, balance: Balance) -> list[Question]:
        kind = _KINDS[index % len(_KINDS)]
        scene, rng = make_scene("hr", seed, index, kind, 512, 0.1524)
        save(scene, rng, images / f"{index}.tif")
        return hr_questions(scene, balance, rng)

    tables = rsvqa.tables(splits, questions, sensor="ULTRACAM_EAGLE_FALCON", resolution=".1524m")
    rsvqa.write_tables(folder, "USGS", "USGS_split", tables, splits)
