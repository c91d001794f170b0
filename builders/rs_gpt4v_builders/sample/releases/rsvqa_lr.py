"""Writes RSVQA-LR: 256 px TIFFs, with the files on all splits."""

from pathlib import Path

from rs_gpt4v_builders.sample.files import Splits, listed, make_scene, mixed, new_folder, save
from rs_gpt4v_builders.sample.layouts import KINDS
from rs_gpt4v_builders.sample.questions import Balance, Question, lr_questions
from rs_gpt4v_builders.sample.releases import rsvqa

SPLITS: Splits = {"train": 360, "val": 15, "test": 60}

# Many images with few questions each: a small model learns to look only from many images.
_KINDS = (*KINDS, "landscape", "landscape", "landscape")


def write(root: Path, seed: int, scale: float) -> None:
    """``RSVQA_LR/``."""
    folder = root / "RSVQA_LR"
    images = new_folder(folder / "Images_LR")
    splits = mixed("lr", seed, listed(SPLITS, scale))

    def questions(index: int, balance: Balance) -> list[Question]:
        kind = _KINDS[index % len(_KINDS)]
        scene, rng = make_scene("lr", seed, index, kind, 256, 10.0)
        save(scene, rng, images / f"{index}.tif")
        return lr_questions(scene, balance, rng)

    tables = rsvqa.tables(splits, questions, sensor="S2", resolution="10m")
    rsvqa.write_tables(folder, "all_", "LR_split", tables, splits)
