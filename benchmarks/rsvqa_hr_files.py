"""Writes full-size files in RSVQA-HR's layout: 625,340 train questions on 6,251 images.

    python benchmarks/rsvqa_hr_files.py OUT

Entries, field order and lengths follow the release (the page excerpt); the other splits' entries
are stubs, as there. Images are uncompressed 512 x 512 px TIFF in name, but 8 x 8 px in fact: what
is measured reads their headers only.
"""

import json
import random
import sys
from pathlib import Path

from PIL import Image

TRAIN_QUESTIONS, TRAIN_IMAGES = 625_340, 6_251  # the paper, Table 1
TOTAL_QUESTIONS = 1_056_514  # all splits together: big_vision's builder
SPLITS = ("train", "val", "test", "test_phili")

_OBJECTS = ("residential building", "commercial building", "road", "water area", "parking", "park")
_QUESTIONS = (
    ("presence", "Is a {} present?", ("yes", "no")),
    ("comp", "Are there more {}s than {}s at the bottom of the  {}?", ("yes", "no")),
    ("count", "What is the number of {}s next to a {}?", tuple(map(str, range(90)))),
    ("area", "What is the area covered by {}s?", tuple(f"{n * 37}m2" for n in range(500))),
)


def main(out: Path) -> None:
    """Write the release below ``out``, 40 questions each for the splits that are not train."""
    folder = out / "RSVQA_HR"
    (folder / "Data").mkdir(parents=True)
    for image_id in range(TRAIN_IMAGES):
        Image.new("RGB", (8, 8)).save(folder / "Data" / f"{image_id}.tif")
    rng = random.Random(0)
    train = sorted(rng.sample(range(TOTAL_QUESTIONS), TRAIN_QUESTIONS))
    rest = iter(sorted(set(range(TOTAL_QUESTIONS)) - set(train)))
    for split in SPLITS:
        ids = train if split == "train" else [next(rest) for _ in range(40)]
        write_split(folder, f"USGS_split_{split}", ids, rng, range(TRAIN_IMAGES))


def small_release(out: Path) -> None:
    """The same layout with 40 questions a split, on one image."""
    folder = out / "RSVQA_HR"
    (folder / "Data").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "Data" / "0.tif")
    rng = random.Random(0)
    for i, split in enumerate(SPLITS):
        ids = list(range(40 * i, 40 * (i + 1)))
        write_split(folder, f"USGS_split_{split}", ids, rng, range(1))


def write_split(folder: Path, stem: str, ids: list[int], rng: random.Random, images: range) -> None:
    """The positional questions and answers of one split, ``ids`` active and stubs elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    length = ids[-1] + 1
    questions: list[dict[str, object]] = [{"id": i, "active": False} for i in range(length)]
    answers: list[dict[str, object]] = [{"id": i, "active": False} for i in range(length)]
    for place, i in enumerate(ids):
        kind, text, choices = rng.choice(_QUESTIONS)
        questions[i] = {
            "id": i,
            "date_added": 1579864753.0783067 + i,
            "img_id": images[place * len(images) // len(ids)],
            "people_id": 0,
            "type": kind,
            "question": text.format(*rng.choices(_OBJECTS, k=3)),
            "answers_ids": [i],
            "active": True,
        }
        answers[i] = {
            "id": i,
            "date_added": 1579864753.0783424 + i,
            "question_id": i,
            "people_id": 0,
            "answer": rng.choice(choices),
            "active": True,
        }
    (folder / f"{stem}_questions.json").write_text(json.dumps({"questions": questions}))
    (folder / f"{stem}_answers.json").write_text(json.dumps({"answers": answers}))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
