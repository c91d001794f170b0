"""Detection at full size: rows of DIOR's 23,463 images, and 100,000 boxes scored.

    python benchmarks/detection.py

The files have DIOR's layout, 192,472 objects and both sets of boxes; the images are hard links to
one JPEG of 800 px. Printed: CPU seconds and rows a second of `load_dataset` with an empty cache,
beside a plain parse of the same XML files; then the CPU seconds of `rs_detection`, step by step.
"""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import datasets
import numpy as np
from full_size_files import DIOR_IMAGES, LAST_TRAINING_IMAGE, links, shares

import rs_gpt4v  # noqa: F401  (registers)
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.boxes import from_rotated
from rs_gpt4v.scoring.detections import read
from rs_gpt4v.scoring.matching import find
from rs_gpt4v_builders.sources.dior import CLASSES
from rs_gpt4v_evaluation.rs_detection.average_precision import by_confidence
from rs_gpt4v_evaluation.rs_detection.sums import detection_sums

OBJECTS = 192_472
SIZE = (800, 800)
_FRAME = (
    "<annotation>\n\t<filename>{name}.jpg</filename>\n\t<source>\n\t\t<database>DIOR</database>\n"
    "\t</source>\n\t<size>\n\t\t<width>800</width>\n\t\t<height>800</height>\n\t\t<depth>3</depth>\n"
    "\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
)
_CORNERS = [
    f"{axis}_{corner}"
    for corner in ("left_top", "right_top", "right_bottom", "left_bottom")
    for axis in "xy"
]


def write(out: Path) -> None:
    """Write ``DIOR/`` with both sets of boxes."""
    rng = random.Random(0)
    folders = [
        out / f"DIOR/Annotations/{kind} Bounding Boxes" for kind in ("Horizontal", "Oriented")
    ]
    for folder in folders:
        folder.mkdir(parents=True)
    names = [f"{number:05d}" for number in range(1, DIOR_IMAGES + 1)]
    for name, count in zip(names, shares(OBJECTS, DIOR_IMAGES), strict=True):
        classes = rng.sample(CLASSES, rng.choice((1, 1, 1, 2, 3)))
        boxes = [(rng.choice(classes), _box(rng)) for _ in range(count)]
        for folder, write_object in zip(folders, (_upright, _oriented), strict=True):
            text = _FRAME.format(name=name, objects="".join(write_object(*box) for box in boxes))
            (folder / f"{name}.xml").write_text(text)
    for folder, part in (
        ("trainval", names[:LAST_TRAINING_IMAGE]),
        ("test", names[LAST_TRAINING_IMAGE:]),
    ):
        links(out / f"DIOR/JPEGImages-{folder}", [f"{name}.jpg" for name in part], side=800)


def _box(rng: random.Random) -> tuple[float, ...]:
    """A rotated box: centre, sides, degrees."""
    return (
        *(rng.uniform(100, 700), rng.uniform(100, 700)),
        *(rng.uniform(8, 120), rng.uniform(8, 120), rng.uniform(1, 89)),
    )


def _upright(label: str, box: tuple[float, ...]) -> str:
    x, y, w, h, _ = (round(value) for value in box)
    corners = zip(
        ("xmin", "ymin", "xmax", "ymax"),
        (x - w // 2, y - h // 2, x + w // 2 + 1, y + h // 2 + 1),
        strict=True,
    )
    inner = "".join(f"\t\t\t<{tag}>{value}</{tag}>\n" for tag, value in corners)
    return (
        f"\t<object>\n\t\t<name>{label}</name>\n\t\t<pose>Unspecified</pose>\n"
        f"\t\t<bndbox>\n{inner}\t\t</bndbox>\n\t</object>\n"
    )


def _oriented(label: str, box: tuple[float, ...]) -> str:
    corners = zip(_CORNERS, map(round, from_rotated(*box)), strict=True)
    inner = "".join(f"\t\t\t<{tag}>{value}</{tag}>\n" for tag, value in corners)
    return (
        f"\t<object>\n\t\t<type>robndbox</type>\n\t\t<name>{label}</name>\n"
        "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n"
        f"\t\t<robndbox>\n{inner}\t\t</robndbox>\n\t\t<angle>0</angle>\n\t</object>\n"
    )


def rows(data: Path) -> None:
    """Build both configs."""
    for config, kind in (("detect_dior", "Horizontal"), ("detect_dior_obb", "Oriented")):
        files = sorted((data / f"DIOR/Annotations/{kind} Bounding Boxes").iterdir())
        parsed = seconds(lambda files=files: [ElementTree.parse(file) for file in files])
        with tempfile.TemporaryDirectory() as cache:
            options: Any = {"data_dir": str(data), "cache_dir": cache, "box_format": "obb"}
            start = time.process_time()
            built: Any = datasets.load_dataset("rs_gpt4v", config, **options)
            took = time.process_time() - start
        n = sum(part.num_rows for part in built.values())
        absent = sum(not boxes for part in built.values() for boxes in part["boxes"])
        print(
            f"{config}: {n:,} rows, {absent / n:.1%} about absent classes, {took:.1f} s of CPU, "
            f"{n / took:,.0f} rows/s; parsing the XML alone {parsed:.1f} s"
        )


def metric(kind: str, n: int, k: int) -> None:
    """Score ``k`` claimed boxes in each of ``n`` rows."""
    rng = np.random.default_rng(0)
    true = rng.uniform([100, 100, 10, 10, 1], [700, 700, 80, 80, 89], (n, k, 5))
    said = np.maximum(true + rng.normal(0, 2, true.shape), 3)
    boxes, truths = ([[_points(b, kind) for b in row] for row in part] for part in (said, true))
    names, sizes = [CLASSES[row % 20] for row in range(n)], [SIZE] * n
    denies, sure = np.zeros(n, bool), rng.random((n, k)).tolist()
    found = find(boxes, truths, sizes)
    replies = [CODECS["obb"].write([("", b) for b in row], *SIZE) for row in boxes]
    steps: dict[str, Callable[[], object]] = {
        "pairs": lambda: find(boxes, truths, sizes),
        "scores": lambda: detection_sums(found, names, sizes, denies).total(),
        "AP with confidences": lambda: by_confidence(found, names, sure),
        "reading the replies": lambda: [read(text, *SIZE, "obb") for text in replies],
    }
    took = ", ".join(f"{name} {seconds(work):.2f} s" for name, work in steps.items())
    print(f"rs_detection, {n * k:,} {kind} boxes, {k} a row: {took}")


def _points(box: np.ndarray, kind: str) -> tuple[float, ...]:
    x, y, w, h, angle = box.tolist()
    if kind == "rotated":
        return from_rotated(x, y, w, h, angle)
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print all."""
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        rows(Path(folder))
    for kind in ("upright", "rotated"):
        for n, k in ((10_000, 10), (1_000, 100)):
            metric(kind, n, k)


if __name__ == "__main__":
    main()
