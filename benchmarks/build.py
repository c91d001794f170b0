"""Building 625,340 RSVQA-HR rows: `load_dataset("rs_gpt4v", ...)` beside `Dataset.from_generator`.

    python benchmarks/rsvqa_hr_files.py DATA && python benchmarks/build.py DATA [--rounds 3]

Each build runs in a process of its own, in turn, and makes the same rows from the same files:

* ours: this package's builder;
* generator: `Dataset.from_generator` over this package's own columnar reading ("same parsing");
* json.load: `Dataset.from_generator` over `json.load`, as a user would write it.

Printed: median seconds and peak memory of each, the ratios, the seconds to open the rows again, and
what 50,000 unrelated files in the data root cost.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rsvqa_hr_files import small_release

ROWS = 625_340


def ours(data: Path, cache: Path) -> Any:
    """The builder; only its train split has rows worth the name."""
    from datasets import load_dataset

    import rs_gpt4v  # noqa: F401  (registers)

    return load_dataset(
        "rs_gpt4v", "vqa_hr", split="train", data_dir=str(data), cache_dir=str(cache)
    )


def generator(data: Path, cache: Path) -> Any:
    """Rows one by one from the columns that this package's reader makes."""
    from rs_gpt4v_builders.sources import rsvqa_hr

    def rows() -> Iterator[dict[str, Any]]:
        table = rsvqa_hr.SOURCE.read(data / "RSVQA_HR", "train")
        for batch in table.to_batches(10_000):
            yield from batch.to_pylist()

    return _from_generator(rows, data, cache)


def json_load(data: Path, cache: Path) -> Any:
    """Rows one by one from the files read whole."""

    def rows() -> Iterator[dict[str, Any]]:
        stem = str(data / "RSVQA_HR/USGS_split_train")
        questions = json.loads(Path(f"{stem}_questions.json").read_text())["questions"]
        answers = json.loads(Path(f"{stem}_answers.json").read_text())["answers"]
        for question in questions:
            if question["active"]:
                yield {
                    "key": f"{question['id']:06d}",
                    "image": f"{question['img_id']}.tif",
                    "question": question["question"],
                    "answer": answers[question["answers_ids"][0]]["answer"],
                    "question_type": question["type"],
                }

    return _from_generator(rows, data, cache)


def _from_generator(
    records: Callable[[], Iterator[dict[str, Any]]], data: Path, cache: Path
) -> Any:
    import random

    from datasets import Dataset
    from PIL import Image

    from rs_gpt4v import templates as wordings
    from rs_gpt4v.conversation import FEATURES

    def conversations() -> Iterator[dict[str, Any]]:
        sizes: dict[str, tuple[int, int]] = {}
        for record in records():
            path = str(data / "RSVQA_HR/Data" / record["image"])
            if path not in sizes:
                with Image.open(path) as image:
                    sizes[path] = image.size
            row_id = f"rsvqa_hr/train/{record['key']}"
            prompt = random.Random(row_id).choice(wordings.VQA).format(record["question"])
            yield {
                "id": row_id,
                "images": [{"bytes": None, "path": path}],
                "messages": [
                    {"role": "user", "content": prompt},
                    {"role": "assistant", "content": record["answer"]},
                ],
                "source": "rsvqa_hr",
                "task": "vqa",
                "question_type": record["question_type"],
                "modality": "optical",
                "references": [record["answer"]],
                "boxes": [],
                "width": sizes[path][0],
                "height": sizes[path][1],
            }

    return Dataset.from_generator(conversations, features=FEATURES, cache_dir=str(cache))


WAYS = {"ours": ours, "generator": generator, "json.load": json_load}


def _measure(way: str, data: Path) -> dict[str, float]:
    """One build in this process: seconds (imports excluded) and peak resident MB."""
    import datasets

    from rs_gpt4v_builders import builder  # noqa: F401

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        rows = WAYS[way](data, Path(cache))
        built = time.perf_counter() - start
        assert len(rows) == ROWS, f"{way}: {len(rows)} rows"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        del rows
        start = time.perf_counter()
        if way == "ours":
            ours(data, Path(cache))
        return {"built": built, "peak": peak, "opened": time.perf_counter() - start}


def _crowded_root() -> dict[str, float]:
    """Median seconds of a first load, with 10 and with 50,000 unrelated files in the data root."""
    seconds: dict[int, list[float]] = {10: [], 50_000: []}
    with tempfile.TemporaryDirectory() as scratch:
        for files in seconds:
            root = Path(scratch) / str(files)
            small_release(root)
            for i in range(files):
                (root / f"{i:05d}.jpg").touch()
        for round_ in range(6):
            for files, measured in seconds.items():
                start = time.perf_counter()
                ours(Path(scratch) / str(files), Path(scratch) / f"cache{round_}")
                measured.append(time.perf_counter() - start)
    return {f"{files:,}": statistics.median(m[1:]) for files, m in seconds.items()}


def main() -> None:
    """Run every way in turn, ``rounds`` times, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=[*WAYS, "roots"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        done = _crowded_root() if args.way == "roots" else _measure(args.way, args.data)
        print(json.dumps(done))
        return
    rounds = [
        {way: _in_process(args.data, way) for way in (*WAYS, "roots")} for _ in range(args.rounds)
    ]
    results = {way: [one[way] for one in rounds] for way in rounds[0]}
    roots = results.pop("roots")
    medians = {
        way: {k: statistics.median(r[k] for r in runs) for k in runs[0]}
        for way, runs in results.items()
    }
    for way, m in medians.items():
        print(
            f"{way:10} {m['built']:6.2f} s  {ROWS / m['built']:9,.0f} rows/s  {m['peak']:6.0f} MB  "
            f"{m['built'] / medians['ours']['built']:5.2f} x the time of ours"
        )
    print(f"opened again in {medians['ours']['opened'] * 1000:.0f} ms")
    extra = statistics.median(r["50,000"] - r["10"] for r in roots)
    print(f"50,000 files in the data root instead of 10: {extra:+.3f} s")


def _in_process(data: Path, way: str) -> dict[str, float]:
    command = [sys.executable, __file__, str(data), "--way", way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
