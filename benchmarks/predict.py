"""Answering many questions on one image: the image read once, against plain batches of 8.

A LLaVA of random weights (6 + 6 layers, 576 image tokens, replies of up to 4 tokens). The variants
take turns round by round; the first round is dropped; CPU seconds, median of the ratios. Blind runs
are in batches of 8 too: without an image, with a grey one, and with another one of the split.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.blind import blind_rows
from rs_gpt4v_evaluation.predict.predictions import read_predictions

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tiny_llava import build_tiny_llava

ABOUT = {"config": "made", "split": "test", "protocol": "paper", "box_format": "llava"}
QUESTIONS = [
    "Is there a road?",
    "How many buildings are there in the image? Reply with one word.",
    "Is it a rural or an urban area",
    "Are there more water areas than roads?",
]


def questions(folder: Path, images: int, on_each: int) -> datasets.Dataset:
    """``on_each`` questions on each of ``images`` random images of 512 x 512 px."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(images):
        path = folder / f"{on_each}_{i}.jpg"
        Image.fromarray(rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(path)
        for k in range(on_each):
            user = {"role": "user", "content": f"{QUESTIONS[k % 4]} ({k})"}
            row = {
                "id": f"{i}/{k}",
                "images": [str(path)],
                "messages": [user, {"role": "assistant", "content": "yes"}],
                "source": "made",
                "task": "vqa",
                "references": ["yes"],
                "boxes": [],
                "width": 512,
                "height": 512,
            }
            rows.append(dict.fromkeys(FEATURES) | row)
    return datasets.Dataset.from_list(rows, features=FEATURES)


def cpu_seconds(
    predictor: Predictor, rows: datasets.Dataset, out: Path, batch_size: int, *, share: bool
) -> float:
    """Of answering ``rows``, from their files to the file of replies."""
    out.unlink(missing_ok=True)
    start = time.process_time()
    predict(predictor, rows, describe(rows, **ABOUT), out, batch_size, share_images=share)
    return time.process_time() - start


def compare(predictor: Predictor, rows: datasets.Dataset, folder: Path, rounds: int) -> None:
    """Print what sharing gains, what blind runs take, and whether seen replies are the same."""
    seen = {"plain 8": (rows, 8, False), "shared 8": (rows, 8, True), "shared 32": (rows, 32, True)}
    kinds = ("none", "grey", "other")
    variants = seen | {f"blind {kind}": (blind_rows(rows, kind), 8, True) for kind in kinds}
    files = {name: folder / f"{name}.jsonl" for name in variants}
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds + 1):
        for name, (asked, size, share) in variants.items():
            seconds = cpu_seconds(predictor, asked, files[name], size, share=share)
            taken[name].append(seconds)
    replies = {
        name: [line["prediction"] for line in read_predictions(file)]
        for name, file in files.items()
    }
    for name, seconds in taken.items():
        pairs = zip(taken["plain 8"][1:], seconds[1:], strict=True)
        ratio = statistics.median(plain / one for plain, one in pairs)
        each = 1000 * statistics.median(seconds[1:]) / len(rows)
        same = "same replies" if replies[name] == replies["plain 8"] else "OTHER REPLIES"
        same *= name in seen
        print(f"  {name:11} {each:7.1f} ms of CPU an answer  {ratio:5.1f} x  {same}", flush=True)


def main() -> None:
    """Measure 8 and 100 questions an image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help="another checkpoint")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.model is None:
            build_tiny_llava(folder / "model", QUESTIONS, image_size=336, hidden_size=256, layers=6)
        predictor = Predictor(options.model or str(folder / "model"), max_new_tokens=4)
        # Trying out whether sharing is allowed is done once a run, however long that is.
        predictor.why_not_shared = lambda *_: None  # pyright: ignore[reportAttributeAccessIssue]
        for images, on_each in ((4, 8), (2, 100)):
            print(f"{on_each} questions an image")
            rows = questions(folder, images, on_each)
            compare(predictor, rows, folder, options.rounds)


if __name__ == "__main__":
    main()
