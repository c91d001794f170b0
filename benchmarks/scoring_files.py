"""Predictions files at the size of the paper's test splits, in the form that `predict` writes.

    python benchmarks/scoring_files.py OUT

Ids, images, questions, references and replies have the form and the numbers of the releases. Six of
seven replies are right, or nearly. The images are hard links to a dozen scenes of the sample.
"""

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from full_size_files import HR, NWPU, RSICD, RSVG, SYDNEY, UCM
from scene_rules import FORMS

from rs_gpt4v import templates
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.files import write_json_lines
from rs_gpt4v_builders.sample.files import save
from rs_gpt4v_builders.sample.layouts import lay_out
from rs_gpt4v_builders.sources.dior import CLASSES
from rs_gpt4v_builders.sources.scenes import NWPU as SCENES

SIDE = 800
_OBJECTS = ("residential building", "commercial building", "road", "water area", "parking", "park")
_WORDS = """
building tree road river car plane runway pond meadow field house bridge harbor ship beach airport
white green gray large small dense many several square round long narrow curved straight old new
near beside between with by around behind and
"""
_NOUNS, _LOOKS, _BETWEEN = map(str.split, _WORDS.strip().splitlines())

Row = dict[str, Any]


def main(out: Path) -> None:
    """Write every file and its images into ``out``."""
    scenes = [_scene(out / f"images/{number}.jpg", number) for number in range(12)]
    for name, rows in FILES.items():
        lines = [row | {"image": str((out / row["image"]).absolute())} for row in rows()]
        write(out / f"{name}.jsonl", name, lines)
        for number, image in enumerate(dict.fromkeys(line["image"] for line in lines)):
            Path(image).parent.mkdir(parents=True, exist_ok=True)
            if not Path(image).exists():  # splits of one release share a folder
                os.link(scenes[number % len(scenes)], image)


def _scene(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = ("harbor", "airport", "farmland")[seed % 3]
    save(lay_out(kind, seed, SIDE, 0.5), random.Random(seed), path)
    return path


def write(path: Path, config: str, rows: Sequence[Row]) -> None:
    """Write one file, with what all its lines have in common."""
    common = {
        "model": "llava-hf/llava-1.5-7b-hf",
        "adapter": "outputs/lora",
        "weights": "3f1c2a9b0d4e5f60",
        "decoding": {"do_sample": False, "max_new_tokens": 64},
        "dataset": {
            "config": config,
            "split": "test",
            "protocol": "paper",
            "box_format": "llava",
            "rows": len(rows),
            "fingerprint": "0123456789abcdef",
        },
    }
    write_json_lines(path, ({**_BLANK, **row, **common} for row in rows))


_BLANK: Row = {
    "question_type": None,
    "history": [],
    "boxes": [],
    "width": SIDE,
    "height": SIDE,
}


def _row(source: str, task: str, number: int, image: str, prompt: str, **more: Any) -> Row:
    return {
        "id": f"{source}/test/{number:06}",
        "source": source,
        "task": task,
        "image": image,
        "prompt": prompt,
        **more,
    }


def questions(split: str, seed: int = 0) -> Iterator[Row]:
    """The questions of a split of RSVQA-HR."""
    rng, (images, n) = random.Random(f"{split} {seed}"), HR[split]
    truth = random.Random(split)
    for number in range(n):
        kind = truth.choices(["presence", "comp", "count", "area"], [34, 39, 16, 11])[0]
        question, true = _question(kind, truth)
        other = _question(kind, rng)[1]
        yield _row(
            "rsvqa_hr",
            "vqa",
            number,
            f"RSVQA_HR/Data/{number * images // n}.tif",
            rng.choice(templates.VQA).format(question),
            question_type=kind,
            references=[true],
            prediction=rng.choices([true, true.capitalize() + ".", other], [5, 1, 1])[0],
        )


def _question(kind: str, rng: random.Random) -> tuple[str, str]:
    first, second = rng.sample(_OBJECTS, 2)
    size = rng.choice(["", "small ", "large ", "square ", "rectangular "])
    place = f" next to a {second}"
    match kind:
        case "presence":
            return f"Is there a {size}{first}{place}?", rng.choice(["yes", "no"])
        case "comp":
            return f"Are there more {first}s than {size}{second}s?", rng.choice(["yes", "no"])
        case "count":
            return (
                f"What is the number of {size}{first}s{place}?",
                str(int(rng.paretovariate(0.6)) % 90),
            )
    area = int(rng.paretovariate(0.3)) % 100_000
    return f"What is the area covered by {size}{first}s{place}?", f"{area}m2"


def captions(source: str, folder: str, images: int, n: int = 5) -> Iterator[Row]:
    """One reply an image of ``n`` references, some of which are equal."""
    rng = random.Random(source)
    for number in range(images):
        # The captions of an image are about the same things.
        nouns = rng.sample(_NOUNS, 4)
        true = [_caption(nouns, rng) for _ in range(n)]
        references = [rng.choice(true) for _ in true] if source == "rsicd" else true
        yield _row(
            source,
            "caption",
            number,
            f"{folder}/{number}.jpg",
            rng.choice(templates.CAPTION),
            references=references,
            prediction=_caption(nouns, rng),
        )


def _caption(nouns: list[str], rng: random.Random) -> str:
    first, *others = rng.sample(nouns, rng.randint(2, 3))
    text = f"{rng.choice(_LOOKS)} {first}s are"
    for noun in others:
        text += f" {rng.choice(_BETWEEN)} {rng.choice(['a', 'the'])} {rng.choice(_LOOKS)} {noun}"
    return f"{text} ."


def _box(rng: random.Random) -> list[float]:
    width, height = (min(rng.paretovariate(0.9) * 18, 400) for _ in range(2))
    x, y = rng.uniform(0, SIDE - width), rng.uniform(0, SIDE - height)
    return [round(number) for number in (x, y, x + max(width, 2), y + max(height, 2))]


def _near(box: list[float], rng: random.Random, spread: float) -> list[float]:
    moved = [min(max(number + rng.gauss(0, spread), 0), SIDE) for number in box]
    return [*map(min, moved[:2], moved[2:]), *map(max, moved[:2], moved[2:])]


def _truth(label: str, points: list[float]) -> dict[str, Any]:
    return {"label": label, "points": points, "kind": "hbb"}


def expressions() -> Iterator[Row]:
    """The test expressions of DIOR-RSVG that the paper counts."""
    rng, (images, n) = random.Random("dior_rsvg"), RSVG["test"]
    for number in range(n):
        box, label = _box(rng), rng.choice(CLASSES)
        said = _near(box, rng, 8) if rng.random() < 6 / 7 else _box(rng)
        yield _row(
            "dior_rsvg",
            "grounding",
            number,
            f"DIOR_RSVG/JPEGImages/{number * images // n:05}.jpg",
            rng.choice(templates.GROUNDING).format(f"the {rng.choice(_LOOKS)} {label} on the left"),
            references=[CODECS["llava"].write([("", box)], SIDE, SIDE)],
            prediction=CODECS["llava"].write([("", said)], SIDE, SIDE),
            boxes=[_truth(label, box)],
        )


def objects(n: int = 10_000, k: int = 10) -> Iterator[Row]:
    """Images with ``k`` objects of the class that is asked for, all found or nearly."""
    rng = random.Random(f"dior {n} {k}")
    for number in range(n):
        label, boxes = CLASSES[number % len(CLASSES)], [_box(rng) for _ in range(k)]
        said = [_near(box, rng, 3) for box in boxes]
        yield _row(
            "dior",
            "detection",
            number,
            f"DIOR/JPEGImages-test/{11_726 + number // 2}.jpg",
            rng.choice(templates.DETECTION).format(label),
            question_type=label,
            references=[CODECS["llava"].write([("", box) for box in boxes], SIDE, SIDE)],
            prediction=CODECS["llava"].write([("", box) for box in said], SIDE, SIDE),
            boxes=[_truth(label, box) for box in boxes],
        )


def scenes(n: int = 31_500) -> Iterator[Row]:
    """Questions on all images of NWPU-RESISC45, answered in every form of `scene_rules`."""
    rng = random.Random("scenes")
    weights = [weight for weight, _ in FORMS.values()]
    for number in range(n):
        name = SCENES[number % len(SCENES)]
        form = rng.choices([*FORMS], weights)[0]
        reply = FORMS[form][1](name, rng)
        if " " in form:  # no two sentences of a model need to be equal
            reply += f" There is a {rng.choice(_LOOKS)} part {rng.choice(_BETWEEN)} it, {number}."
        yield _row(
            "nwpu_captions_scenes",
            "scene",
            number,
            f"NWPU-Captions/NWPU_images/{name}/{number}.jpg",
            rng.choice(templates.SCENE).format(", ".join(rng.sample(SCENES, len(SCENES)))),
            references=[name],
            prediction=reply,
        )


def probes(n: int = 300_000) -> Iterator[Row]:
    """Questions on what is there and what is not, 25 an image."""
    rng = random.Random("probes")
    for number in range(n):
        kind = ("present", "random", "present", "popular", "adversarial")[number % 5]
        true = "yes" if kind == "present" else "no"
        said = true if rng.random() < 6 / 7 else rng.choice(["yes", "no", "I cannot tell."])
        label = rng.choice(CLASSES)
        long = f"{said.capitalize()}, there is {'a' if said == 'yes' else 'no'} {label} in it."
        yield _row(
            "dior",
            "probe",
            number,
            f"DIOR/JPEGImages-test/{number // 25:05}.jpg",
            rng.choice(templates.PRESENCE).format(label),
            question_type=kind,
            references=[true],
            prediction=rng.choice([said, long]),
        )


FILES: dict[str, Callable[[], Iterator[Row]]] = {
    "vqa_hr": partial(questions, "test"),
    "vqa_hr_philadelphia": partial(questions, "test_phili"),
    "vqa_hr_again": partial(questions, "test", seed=1),
    "grounding": expressions,
    "cap_nwpu": partial(captions, "nwpu_captions", "NWPU-Captions/NWPU_images", NWPU["test"][0]),
    "cap_rsicd": partial(captions, "rsicd", "RSICD_optimal/RSICD_images", RSICD["test"][0]),
    "cap_sydney": partial(captions, "sydney_captions", "Sydney_captions/imgs", SYDNEY["test"][0]),
    "cap_ucm": partial(captions, "ucm_captions", "UCM_captions/imgs", UCM["test"][0]),
    "detect_dior": objects,
    "scene_nwpu": scenes,
    "probe_presence": probes,
}
"""Configs, or what stands for one, and their rows."""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
