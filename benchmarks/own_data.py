"""Building rows from own files: `load_dataset("rs_gpt4v", "folder")` beside `from_generator`.

    python benchmarks/own_data.py [--rounds 3] [--items 200000] [--boxes 100000]

Two sets are made in a temporary folder, a LLaVA json of dialogues and a COCO json. Each build runs
in a process of its own, in turn, and makes rows of the same kind:

* ours: this package's builder;
* generator: `Dataset.from_generator` over `json.load` and this package's own rows one by one.

Printed: median seconds and peak memory of each, and the ratios.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IMAGES = 2_000
CLASSES = ("ship", "storage-tank", "airplane", "small-vehicle", "harbor", "bridge", "tennis-court")


def write_images(root: Path) -> None:
    """Small images: the time to decode them is that of any build."""
    from PIL import Image

    (root / "images").mkdir(parents=True)
    for index in range(IMAGES):
        Image.new("RGB", (64, 64), (index % 255, 90, 90)).save(root / f"images/{index:05d}.png")


def write_dialogues(root: Path, items: int) -> None:
    """A LLaVA json with dialogues of two questions."""
    rng = random.Random(0)
    words = ["field", "road", "river", "building", "ship", "tank", "court", "pier", "large", "two"]
    content = [
        {
            "id": f"{index:07d}",
            "image": f"{index % IMAGES:05d}.png",
            "conversations": [
                {"from": who, "value": mark + " ".join(rng.choices(words, k=length)) + "."}
                for who, mark, length in (
                    ("human", "<image>\n", 12), ("gpt", "", 30), ("human", "", 10), ("gpt", "", 25)
                )
            ],
        }
        for index in range(items)
    ]  # fmt: skip
    (root / "train.json").write_text(json.dumps(content))


def write_boxes(root: Path, boxes: int) -> None:
    """A COCO json."""
    rng = random.Random(0)
    content = {
        "images": [
            {"id": n, "file_name": f"{n:05d}.png", "width": 64, "height": 64} for n in range(IMAGES)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(CLASSES)],
        "annotations": [
            {
                "id": n,
                "image_id": n % IMAGES,
                "category_id": rng.choice(range(len(CLASSES))),
                "bbox": [rng.randint(0, 40), rng.randint(0, 40), rng.randint(4, 20), 9],
            }
            for n in range(boxes)
        ],
    }
    (root / "train.json").write_text(json.dumps(content))


def ours(root: Path, cache: Path) -> Any:
    """The builder."""
    from datasets import load_dataset

    import rs_gpt4v  # noqa: F401  (registers)

    rows: Any = load_dataset("rs_gpt4v", "folder", data_dir=str(root), cache_dir=str(cache))
    return rows["train"]


def generator(root: Path, cache: Path) -> Any:
    """Rows one by one."""
    from datasets import Dataset

    from rs_gpt4v.conversation import FEATURES

    def rows() -> Iterator[dict[str, Any]]:
        content = json.loads((root / "train.json").read_text())
        is_list = isinstance(content, list)
        yield from _dialogues(root, content) if is_list else _questions(root, content)

    return Dataset.from_generator(rows, features=FEATURES, cache_dir=str(cache))


def _row(root: Path, image: str, row_id: str, messages: list[dict[str, str]], **more: Any) -> Any:
    return {
        "id": row_id,
        "images": [{"bytes": None, "path": str(root / "images" / image)}],
        "messages": messages,
        "source": "folder",
        "question_type": None,
        "modality": "optical",
        "references": [messages[-1]["content"]],
        "boxes": [],
        "width": 64,
        "height": 64,
    } | more


def _dialogues(root: Path, content: list[Any]) -> Iterator[dict[str, Any]]:
    from rs_gpt4v_builders.sources import dialogues

    for index, item in enumerate(content):
        record = dialogues.record(item, f"item {index}", str)
        row_id = f"folder/train/{item['id']}"
        yield _row(root, record["image"], row_id, record["messages"], task="conversation")


def _questions(root: Path, content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from rs_gpt4v import templates
    from rs_gpt4v.box_codecs import CODECS

    names = {category["id"]: category["name"] for category in content["categories"]}
    by_image: dict[int, dict[str, list[Any]]] = {}
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        by_class = by_image.setdefault(annotation["image_id"], {})
        box = (x, y, min(x + width, 64), min(y + height, 64))
        by_class.setdefault(names[annotation["category_id"]], []).append(box)
    write = CODECS["llava"].write
    for image in content["images"]:
        by_class, name = by_image.get(image["id"], {}), image["file_name"]
        for label, boxes in by_class.items():
            truth = [{"label": label, "points": box, "kind": "hbb"} for box in boxes]
            largest = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
            text = write([(label, largest)], 64, 64)
            made = [
                ("detection", "DETECTION", label, write([(label, b) for b in boxes], 64, 64)),
                ("region_caption", "REGION_CAPTION", text, label),
                ("vqa", "VQA", f"How many objects of the class {label}?", str(len(boxes))),
                ("vqa", "VQA", f"Is there any {label}?", "yes"),
            ]
            if len(boxes) == 1:
                made.append(("grounding", "GROUNDING", f"the {label}", text))
            for number, (task, form, asked, answer) in enumerate(made):
                row_id = f"folder/train/{name}/{label}/{number}"
                prompt = random.Random(row_id).choice(getattr(templates, form)).format(asked)
                turns = [
                    {"role": "user", "content": prompt},
                    {"role": "assistant", "content": answer},
                ]
                yield _row(root, name, row_id, turns, task=task, boxes=truth if number < 1 else [])
        absent = [label for label in CLASSES if label not in by_class][: max(1, len(by_class))]
        for label in absent:
            row_id = f"folder/train/{name}/{label}/no"
            prompt = random.Random(row_id).choice(templates.VQA).format(f"Is there any {label}?")
            turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": "no"}]
            yield _row(root, name, row_id, turns, task="vqa", question_type="presence")


WAYS = {"ours": ours, "generator": generator}


def _measure(way: str, root: Path) -> dict[str, float]:
    """One build in this process: seconds (imports excluded), peak resident MB and rows."""
    import datasets

    from rs_gpt4v_builders import builder  # noqa: F401

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(dir=root.parent) as cache:
        start, began = time.perf_counter(), time.process_time()
        rows = WAYS[way](root, Path(cache))
        built = time.perf_counter() - start
        cpu = time.process_time() - began
        peak = _peak()
        return {"built": built, "cpu": cpu, "peak": peak, "rows": len(rows)}


def _peak() -> float:
    """The most resident MB of this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss counts what the process had in memory that started this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run both ways on both sets in turn, ``rounds`` times, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--boxes", type=int, default=100_000)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(_measure(args.way, args.root)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name, write, count in (
            ("dialogues", write_dialogues, args.items),
            ("boxes", write_boxes, args.boxes),
        ):
            root = Path(scratch, name)
            write_images(root)
            write(root, count)
            _compare(name, root, args.rounds)


def _compare(name: str, root: Path, rounds: int) -> None:
    runs = {way: [_in_process(root, way) for _ in range(rounds)] for way in WAYS}
    medians = {
        way: {k: statistics.median(run[k] for run in some) for k in some[0]}
        for way, some in runs.items()
    }
    for way, m in medians.items():
        rate = m["rows"] / m["built"]
        ratio = rate / (medians["generator"]["rows"] / medians["generator"]["built"])
        print(
            f"{name:10} {way:10} {m['rows']:9,.0f} rows  {m['built']:6.2f} s  {rate:9,.0f} rows/s  "
            f"{m['peak']:6.0f} MB  {ratio:5.2f} x the rate of the generator"
        )


def _in_process(root: Path, way: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--root", str(root), "--way", way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
