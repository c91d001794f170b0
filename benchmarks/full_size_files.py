"""Writes every release at full size: the annotations of 938,605 training rows and of all test rows.

    python benchmarks/full_size_files.py OUT

Layouts, field order and lengths follow the releases; words are drawn from small vocabularies. The
images of one folder are hard links to one small file: 10 MB for 103,000 names, and what is measured
reads their headers only. Counts are those of the paper's Table 1 and, for the splits that it does
not count, those of the releases.
"""

import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from rsvqa_hr_files import write_split
from tqdm import tqdm

from rs_gpt4v_builders.sample.releases.karpathy import caption_record, write_captions

# Split -> (images, captions that differ within their image, summed).
NWPU = {"train": (25_200, 125_894), "val": (3_150, 15_737), "test": (3_150, 15_746)}
RSICD = {"train": (8_734, 17_813), "val": (1_094, 2_901), "test": (1_093, 3_619)}
RSITMD = {"train": (4_291, 20_096), "test": (452, 2_150)}
SYDNEY = {"train": (497, 2_294), "val": (58, 274), "test": (58, 272)}
UCM = {"train": (1_680, 7_999), "val": (210, 982), "test": (210, 996)}
# Split -> (images, questions).
LR = {"train": (572, 57_223), "val": (100, 10_005), "test": (100, 10_004)}
HR = {
    "train": (6_251, 625_340),
    "val": (1_028, 102_843),
    "test": (2_226, 222_684),
    "test_phili": (1_056, 105_647),
}
FLOODNET_IMAGES, FLOODNET_QUESTIONS = 1_448, 4_511
HRRSD_IMAGES, HRRSD_LINES, HRRSD_TRAIN_IMAGES, HRRSD_TRAIN_LINES = 21_761, 78_834, 5_401, 19_218
LAST_TRAINING_IMAGE, DIOR_IMAGES = 11_725, 23_463
RSVG = {"train": (9_466, 19_643), "test": (7_936, 18_677)}
RSVG_LISTS = {"train": 26_991, "val": 3_829, "test": 7_500}
TALKS = {"train": (9_466, 62_067), "test": (613, 3_987)}
DETAILS = {"train": 9_465, "test": 613}

_TEXT = (
    "many green trees are around several buildings with gray roofs near two parallel roads and a "
    "large pond beside some planes parked in an airport where white cars drive by the river bank"
)
_WORDS = _TEXT.split()
_CLASSES = ("ship", "vehicle", "airplane", "storagetank", "tenniscourt", "bridge", "harbor")
_OBJECT = (
    "  <object>\n    <name>{label}</name>\n    <pose>Unspecified</pose>\n    <bndbox>\n"
    "      <xmin>{0}</xmin>\n      <ymin>{1}</ymin>\n      <xmax>{2}</xmax>\n"
    "      <ymax>{3}</ymax>\n    </bndbox>\n    <description>{expression}</description>\n"
    "  </object>\n"
)
_XML = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<annotation>\n'
    "  <filename>{name}</filename>\n  <source>\n    <database>DIOR</database>\n  </source>\n"
    "  <size>\n    <width>800</width>\n    <height>800</height>\n    <depth>3</depth>\n  </size>\n"
    "  <segmented>0</segmented>\n{objects}</annotation>\n"
)


def main(out: Path) -> None:
    """Write every release below ``out``."""
    steps = (nwpu, karpathy, rsvqa, floodnet, rsivqa, dior_rsvg, instruct)
    for write in tqdm(steps, unit="release"):
        write(out, random.Random(write.__name__))


def links(folder: Path, names: Sequence[str], side: int = 8) -> None:
    """Images of ``side`` x ``side`` px, all but the first being links to it."""
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / names[0]
    Image.new("RGB", (side, side), (90, 120, 80)).save(first)
    for name in names[1:]:
        os.link(first, folder / name)


def sentences(rng: random.Random, distinct: int) -> list[str]:
    """Five captions, ``distinct`` of them different."""
    own = [f"{' '.join(rng.choices(_WORDS, k=9))} {place} ." for place in "abcde"[:distinct]]
    return [own[place % distinct] for place in range(5)]


def shares(total: int, parts: int) -> Iterator[int]:
    """``total`` as ``parts`` numbers that differ by one at most."""
    return ((place + 1) * total // parts - place * total // parts for place in range(parts))


def nwpu(out: Path, rng: random.Random) -> None:
    """45 classes of 700 images, a list of records for each."""
    counts = {split: shares(distinct, images) for split, (images, distinct) in NWPU.items()}
    splits = ["train"] * 560 + ["val"] * 70 + ["test"] * 70
    suffixes = ("", "_1", "_2", "_3", "_4")
    classes: dict[str, list[dict[str, Any]]] = {}
    for number in range(45):
        name = f"class_{number:02d}"
        files = [f"{name}_{place:03d}.jpg" for place in range(1, 701)]
        links(out / "NWPU-Captions" / "NWPU_images" / name, files)
        classes[name] = [
            {"filename": file, "imgid": place, "split": split}
            | dict(zip((f"raw{s}" for s in suffixes), raws, strict=True))
            | {f"sentids{s}": 5 * place + n for n, s in enumerate(suffixes)}
            for place, (file, split) in enumerate(zip(files, splits, strict=True))
            for raws in [sentences(rng, next(counts[split]))]
        ]
    (out / "NWPU-Captions" / "dataset_nwpu.json").write_text(json.dumps(classes))


def karpathy(out: Path, rng: random.Random) -> None:
    """The four releases in Karpathy's layout."""
    for folder, file, images, suffix, splits in (
        ("RSICD_optimal", "dataset_rsicd.json", "RSICD_images", "jpg", RSICD),
        ("RSITMD", "dataset_RSITMD.json", "images", "tif", RSITMD),
        ("Sydney_captions", "dataset.json", "imgs", "tif", SYDNEY),
        ("UCM_captions", "dataset.json", "imgs", "tif", UCM),
    ):
        every = [
            (split, distinct)
            for split, (count, total) in splits.items()
            for distinct in shares(total, count)
        ]
        names = [f"{place}.{suffix}" for place in range(1, len(every) + 1)]
        links(out / folder / images, names)
        records = [
            caption_record(place, names[place], split, sentences(rng, distinct))
            for place, (split, distinct) in enumerate(every)
        ]
        write_captions(out / folder / file, records, folder)


def rsvqa(out: Path, rng: random.Random) -> None:
    """RSVQA-LR and RSVQA-HR, the questions of all splits mixed over the ids."""
    for folder, prefix, images, splits in (
        ("RSVQA_LR", "LR_split", "Images_LR", LR),
        ("RSVQA_HR", "USGS_split", "Data", HR),
    ):
        total = sum(questions for _, questions in splits.values())
        shuffled = iter(rng.sample(range(total), total))
        first = 0
        for split, (count, questions) in splits.items():
            ids = sorted(islice(shuffled, questions))
            write_split(out / folder, f"{prefix}_{split}", ids, rng, range(first, first + count))
            first += count
        links(out / folder / images, [f"{number}.tif" for number in range(first)])


def floodnet(out: Path, rng: random.Random) -> None:
    """One object keyed by number; counts are integers."""
    names = [f"{number}.JPG" for number in range(6_000, 6_000 + FLOODNET_IMAGES)]
    links_to_jpeg(out / "FloodNet" / "Images" / "Train_Image", names)
    kinds = (
        ("What is the overall condition of the given image?", "flooded", "Condition_Recognition"),
        ("How many buildings are in this image?", 7, "Simple_Counting"),
        ("Is the entire road non flooded?", "No", "Yes_No"),
    )
    questions = {
        str(number): {
            "Image_ID": names[number * FLOODNET_IMAGES // FLOODNET_QUESTIONS],
            **dict(zip(("Question", "Ground_Truth", "Question_Type"), kind, strict=True)),
        }
        for number in range(FLOODNET_QUESTIONS)
        for kind in [rng.choice(kinds)]
    }
    path = out / "FloodNet" / "Questions" / "Training Question.json"
    path.parent.mkdir()
    path.write_text(json.dumps(questions))


def links_to_jpeg(folder: Path, names: Sequence[str]) -> None:
    """As `links`, for names whose suffix is in capitals."""
    links(folder, [names[0].lower(), *names])
    (folder / names[0].lower()).unlink()


def rsivqa(out: Path, rng: random.Random) -> None:
    """The HRRSD file and HRRSD's split list; the paper's protocol reads no other."""
    names = [f"{number:05d}" for number in range(1, HRRSD_IMAGES + 1)]
    links(out / "HRRSD" / "JPEGImages", [f"{name}.jpg" for name in names])
    training = set(rng.sample(names, HRRSD_TRAIN_IMAGES))
    rest = HRRSD_LINES - HRRSD_TRAIN_LINES, HRRSD_IMAGES - HRRSD_TRAIN_IMAGES
    counts = {True: shares(HRRSD_TRAIN_LINES, HRRSD_TRAIN_IMAGES), False: shares(*rest)}
    lines = [
        f"{name}: how many {rng.choice(_CLASSES)}s are there in this picture?{rng.randrange(9)}\n"
        for name in names
        for _ in range(next(counts[name in training]))
    ]
    for path, text in (
        ("RSIVQA/HRRSD/opt_val_vqa.txt", "".join(lines)),
        ("HRRSD/ImageSets/Main/train.txt", "".join(f"{name}\n" for name in sorted(training))),
    ):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text)


def _dior_names(rng: random.Random, split: str, count: int) -> list[str]:
    """The numbers of ``count`` of DIOR's images, with gaps."""
    first, end = (1, LAST_TRAINING_IMAGE + 1) if split == "train" else (11_726, DIOR_IMAGES + 1)
    return [f"{number:05d}" for number in sorted(rng.sample(range(first, end), count))]


def dior_rsvg(out: Path, rng: random.Random) -> None:
    """An XML file an image, and the lists of the objects' indices."""
    folder = out / "DIOR_RSVG"
    (folder / "Annotations").mkdir(parents=True)
    every: list[str] = []
    for split, (images, objects) in RSVG.items():
        names = _dior_names(rng, split, images)
        every += names
        for name, count in zip(names, shares(objects, images), strict=True):
            text = _XML.format(
                name=f"{name}.jpg", objects="".join(_object(rng) for _ in range(count))
            )
            (folder / "Annotations" / f"{name}.xml").write_text(text)
    links(folder / "JPEGImages", [f"{name}.jpg" for name in every], side=800)
    total = sum(RSVG_LISTS.values())
    shuffled = iter(rng.sample(range(total), total))
    for name, count in RSVG_LISTS.items():
        indices = sorted(islice(shuffled, count))
        (folder / f"{name}.txt").write_text("".join(f"{index}\n" for index in indices))


def _object(rng: random.Random) -> str:
    x, y = rng.randrange(1, 700), rng.randrange(1, 700)
    corners = (x, y, x + rng.randrange(5, 100), y + rng.randrange(5, 100))
    label = rng.choice(_CLASSES)
    words = f"A {label} {' '.join(rng.choices(_WORDS, k=6))}"
    return _OBJECT.format(*corners, label=label, expression=words)


def instruct(out: Path, rng: random.Random) -> None:
    """Dialogues and descriptions on images of DIOR-RSVG."""
    folder = out / "RS_GPT4V_Instruct"
    folder.mkdir()
    present = sorted(path.name for path in (out / "DIOR_RSVG" / "JPEGImages").iterdir())
    for split, (count, pairs) in TALKS.items():
        images = [n for n in present if (int(n[:5]) <= LAST_TRAINING_IMAGE) is (split == "train")]
        talks = [
            _item(image, turns, rng, 12)
            for image, turns in zip(images[:count], shares(pairs, count), strict=True)
        ]
        details = [_item(image, 1, rng, 90) for image in images[: DETAILS[split]]]
        for kind, items in (("conversation", talks), ("detail", details)):
            (folder / f"{kind}_{split}.json").write_text(json.dumps(items))


def _item(image: str, turns: int, rng: random.Random, length: int) -> dict[str, Any]:
    said = [
        {"from": speaker, "value": f"{' '.join(rng.choices(_WORDS, k=words))}{mark}"}
        for _ in range(turns)
        for speaker, words, mark in (("human", 8, "?"), ("gpt", length, "."))
    ]
    said[0]["value"] = f"<image>\n{said[0]['value']}"
    return {"id": image[:5], "image": image, "conversations": said}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
