"""Scores at the size of the paper's test splits, beside the same in plain loops, as ratios.

Captions are beside pycocoevalcap, if it is there. The data is made up, in the proportions of the
releases: 222,684 answers about 2,226 images, 18,677 boxes.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rs_gpt4v.bootstrap import intervals, paired
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.boxes import from_rotated, iou
from rs_gpt4v.scoring.answers import bucket, normalise_answer
from rs_gpt4v_evaluation.rs_caption.bleu import bleu_counts, bleu_scores
from rs_gpt4v_evaluation.rs_caption.cider import similarities
from rs_gpt4v_evaluation.rs_caption.ngrams import NgramCounts
from rs_gpt4v_evaluation.rs_caption.ptb import tokenize
from rs_gpt4v_evaluation.rs_caption.rouge import rouge_l
from rs_gpt4v_evaluation.rs_grounding.measure import lay, reached
from rs_gpt4v_evaluation.rs_grounding.measure import measure as measure_boxes
from rs_gpt4v_evaluation.rs_vqa.measure import answer_sums, measure

ANSWERS, IMAGES, BOXES, CAPTIONS, DRAWS = 222_684, 2_226, 18_677, 1_000, 1_000
SIZE = (800, 800)


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """Processor time of the best of several runs."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def show(name: str, ours: float, other: str = "", theirs: float | None = None) -> None:
    """One line of the table."""
    beside = "" if theirs is None else f"{other:34}{theirs:9.3f} s{theirs / ours:9.1f}x"
    print(f"{name:46}{ours:9.3f} s   {beside}")


# --- Answers -------------------------------------------------------------------------------------


def made_up_answers() -> list[list[str]]:
    """Replies, truths and types; one in seven replies is that of another question."""
    rng = random.Random(0)
    truth = {
        "presence": lambda: rng.choice(["yes", "no"]),
        "comp": lambda: rng.choice(["yes", "no"]),
        "count": lambda: str(int(rng.paretovariate(0.6)) % 90),
        "area": lambda: f"{int(rng.paretovariate(0.3)) % 100_000}m2",
    }
    types = rng.choices([*truth], [34, 39, 16, 11], k=ANSWERS)
    truths = [truth[kind]() for kind in types]
    replies = [
        truth[k]() if rng.random() < 1 / 7 else t for k, t in zip(types, truths, strict=True)
    ]
    return [replies, truths, types]


def slow_right(said: str, true: str, kind: str) -> bool:
    """One answer by itself, nothing remembered."""
    said, true = (normalise_answer.__wrapped__(answer) for answer in (said, true))
    if kind != "area":
        return said != "" and said == true
    found = bucket.__wrapped__(said, "m2")
    return found is not None and found == bucket.__wrapped__(true, "m2")


def slow_draws(right: list[bool], types: list[str], draws: int) -> list[float]:
    """OA and AA of drawn images, row by row."""
    rng = random.Random(0)
    rows = [range(image, ANSWERS, IMAGES) for image in range(IMAGES)]
    found = []
    for _ in range(draws):
        hits, n = dict.fromkeys(types, 0), dict.fromkeys(types, 0)
        for image in rng.choices(range(IMAGES), k=IMAGES):
            for row in rows[image]:
                n[types[row]] += 1
                hits[types[row]] += right[row]
        found += [sum(hits.values()) / sum(n.values()), sum(hits[k] / n[k] for k in n) / len(n)]
    return found


def answers() -> None:
    """RSVQA-HR's test split."""
    columns = made_up_answers()
    images = [row % IMAGES for row in range(ANSWERS)]
    sums = measure(*columns, counts="exact").sums
    right = sums.right("oa") > 0
    show(
        "rs_vqa, 222,684 answers",
        seconds(lambda: measure(*columns, counts="exact")),
        "each answer by itself",
        seconds(lambda: [slow_right(*row) for row in zip(*columns, strict=True)], 1),
    )
    show(
        "intervals, 1,000 draws of 2,226 images",
        seconds(lambda: intervals(answer_sums(right, columns[2]), images, DRAWS)),
        "row by row (3 draws, times 333)",
        seconds(lambda: slow_draws(right.tolist(), columns[2], 3), 1) * DRAWS / 3,
    )
    show(
        "paired test, 1,000 draws, 1,000 swaps", seconds(lambda: paired(sums, sums, images, DRAWS))
    )
    alone = list(range(ANSWERS))
    show("intervals, every answer its own image", seconds(lambda: intervals(sums, alone, DRAWS), 1))


# --- Boxes ---------------------------------------------------------------------------------------


def slow_scores(boxes: list[Any], truths: list[Any]) -> list[float]:
    """Pair by pair."""
    ious = [iou(box, truth) for box, truth in zip(boxes, truths, strict=True)]
    shares = [sum(value >= t for value in ious) / len(ious) for t in (0.5, 0.6, 0.7, 0.8, 0.9)]
    return [*shares, sum(ious) / len(ious)]


def scores(boxes: list[Any], truths: list[Any]) -> list[float]:
    """The same at once."""
    ious = lay(boxes, truths, [SIZE] * len(truths)).ious
    return [*(float(hits.mean()) for hits in reached(ious).values()), float(ious.mean())]


def boxes() -> None:
    """DIOR-RSVG's test split of the paper, upright and rotated."""
    rng = np.random.default_rng(0)
    truths = np.sort(rng.random((BOXES, 2, 2)), axis=1) * 640 + 80
    noisy = np.clip(truths + rng.normal(0, 20, truths.shape), 0, 800)
    said, upright = (np.reshape(b, (-1, 4)).tolist() for b in (np.sort(noisy, axis=1), truths))
    assert np.allclose(scores(said, upright), slow_scores(said, upright))
    show(
        "rs_grounding, 18,677 upright boxes, read",
        seconds(lambda: scores(said, upright)),
        "pair by pair",
        seconds(lambda: slow_scores(said, upright), 1),
    )
    replies = [CODECS["llava"].write([("", box)], *SIZE) for box in upright]
    show(
        "rs_grounding, 18,677 replies",
        seconds(lambda: measure_boxes(replies, upright, [SIZE] * BOXES, "llava")),
        "reading them alone",
        seconds(lambda: [CODECS["llava"].parse(reply, *SIZE) for reply in replies]),
    )
    centres = rng.uniform([300, 300, 40, 40, 1], [500, 500, 200, 200, 90], (BOXES, 5))
    turned = [from_rotated(*row) for row in centres.tolist()]
    moved = [from_rotated(*row) for row in (centres + rng.normal(0, 4, centres.shape)).tolist()]
    assert np.allclose(scores(moved, turned), slow_scores(moved, turned))
    show(
        "rs_grounding, 18,677 rotated boxes, read",
        seconds(lambda: scores(moved, turned)),
        "pair by pair",
        seconds(lambda: slow_scores(moved, turned), 1),
    )


# --- Captions ------------------------------------------------------------------------------------


def captions() -> None:
    """A thousand captions of 8 to 14 words, with five references each."""
    rng = random.Random(0)
    vocabulary = [f"word{i}" for i in range(1_500)]
    weights = [1 / (i + 1) for i in range(1_500)]

    def caption() -> str:
        return " ".join(rng.choices(vocabulary, weights, k=rng.randint(8, 14)))

    said = tokenize([caption() for _ in range(CAPTIONS)])
    truths = [[caption() for _ in range(5)] for _ in range(CAPTIONS)]
    ours = {
        "bleu": lambda: bleu_scores(np.sum(bleu_counts(said, truths, NgramCounts()), axis=0)),
        "rouge_l": lambda: rouge_l(said, truths),
        "cider": lambda: [*similarities(said, truths, NgramCounts())],
    }
    for (name, work), theirs in zip(ours.items(), coco(), strict=True):
        given_, truth = {i: [c] for i, c in enumerate(said)}, dict(enumerate(truths))
        show(
            f"{name}, 1,000 captions of 5 references",
            seconds(work),
            "pycocoevalcap",
            seconds(lambda theirs=theirs, t=truth, g=given_: theirs.compute_score(t, g), 1),
        )


def coco() -> list[Any]:
    """The scorers of pycocoevalcap."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    return [Bleu(4), Rouge(), Cider()]


def main() -> None:
    """Print the table: ours, the other way, and how many times as long it takes."""
    answers()
    boxes()
    captions()


if __name__ == "__main__":
    main()
