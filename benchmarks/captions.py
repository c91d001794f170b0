"""Caption metrics beside pycocoevalcap with its Java tokeniser and METEOR's jar: scores and time.

    python benchmarks/captions.py DATA

DATA holds ``ucm_captions/dataset.json``, ``rsicd/dataset_rsicd.json`` and
``nwpu_captions/dataset_nwpu.json``, as published. Each image's first caption is the candidate, the
other four are its references. Needs java and ``rs-gpt4v[eval,meteor]``.

Printed, by set and metric: the peer's score, the largest difference (of METEOR also of a single
caption), seconds of both and their ratio. As a user pays it, the peer's METEOR starts its JVM and
ours reads its index. What ours takes to start with two captions is printed apart: cold (the table
is read and the code compiled) and warm (a later process).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from rs_gpt4v_evaluation.rs_caption.bleu import bleu_counts, bleu_scores
from rs_gpt4v_evaluation.rs_caption.cider import similarities
from rs_gpt4v_evaluation.rs_caption.meteor.meteor import scores, summands
from rs_gpt4v_evaluation.rs_caption.ngrams import NgramCounts
from rs_gpt4v_evaluation.rs_caption.ptb import tokenize
from rs_gpt4v_evaluation.rs_caption.rouge import rouge_l

FILES = {
    "UCM-Captions": "ucm_captions/dataset.json",
    "RSICD": "rsicd/dataset_rsicd.json",
    "NWPU-Captions": "nwpu_captions/dataset_nwpu.json",
}
START = """
import time
begun = time.perf_counter()
from rs_gpt4v_evaluation.rs_caption.meteor.meteor import summands
summands(["a dog by a river"], [["a hound near the river"]])
print(time.perf_counter() - begun)
"""


class Result(NamedTuple):
    """What one side gives for one metric: tokens, or a corpus score and those of captions."""

    value: Any
    seconds: float


def captions(path: Path) -> list[list[str]]:
    """The raw captions of each image."""
    content = json.loads(path.read_text("utf-8"))
    if "images" in content:
        return [[s["raw"] for s in image["sentences"]] for image in content["images"]]
    images = [image for group in content.values() for image in group]
    return [[text for key, text in image.items() if key.startswith("raw")] for image in images]


def timed(function: Callable[[], Any]) -> Result:
    """The result of ``function`` and its seconds."""
    begun = time.perf_counter()
    value = function()
    return Result(value, time.perf_counter() - begun)


def ours(images: list[list[str]]) -> Iterator[Result]:
    """Tokens, BLEU, METEOR, ROUGE_L, CIDEr."""
    tokens = timed(lambda: our_tokens(images))
    yield tokens
    candidates, references = tokens.value
    ngrams = NgramCounts()
    yield timed(
        lambda: (bleu_scores(np.sum(bleu_counts(candidates, references, ngrams), axis=0)), [])
    )
    yield timed(lambda: meteor(candidates, references))
    yield timed(lambda: ([fmean(rouge_l(candidates, references))], []))
    yield timed(lambda: ([10 * fmean(similarities(candidates, references, ngrams))], []))


def meteor(candidates: list[str], references: list[list[str]]) -> tuple[float, list[float]]:
    """Of the corpus, and of each caption."""
    rows = summands(candidates, references)
    return float(scores(rows.sum(axis=0, keepdims=True))[0]), scores(rows).tolist()


def our_tokens(images: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Candidates and references."""
    tokens = iter(tokenize([text for image in images for text in image[1:]]))
    references = [[next(tokens) for _ in image[1:]] for image in images]
    return tokenize([image[0] for image in images]), references


def theirs(images: list[list[str]]) -> Iterator[Result]:
    """The same of pycocoevalcap."""
    tokens = timed(lambda: their_tokens(images))
    yield tokens
    given, truth = (dict(enumerate(texts)) for texts in tokens.value)
    given = {index: [text] for index, text in given.items()}
    yield timed(lambda: Bleu(4).compute_score(truth, given, verbose=0))
    for scorer in (Meteor, Rouge, Cider):
        yield timed(lambda scorer=scorer: scorer().compute_score(truth, given))


def their_tokens(images: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Candidates and references."""
    truth = {i: [{"caption": text} for text in image[1:]] for i, image in enumerate(images)}
    given = {i: [{"caption": image[0]}] for i, image in enumerate(images)}
    references, candidates = PTBTokenizer().tokenize(truth), PTBTokenizer().tokenize(given)
    return [texts[0] for texts in candidates.values()], list(references.values())


def compare(name: str, images: list[list[str]]) -> None:
    """Print a row a metric, and the total."""
    print(f"{name}: {len(images):,} images, {sum(map(len, images)):,} captions")
    print(f"  {'':10} {'score':>10} {'difference':>11} {'theirs s':>9} {'ours s':>7} {'ratio':>6}")
    pairs = list(zip(theirs(images), ours(images), strict=True))
    tokenised, *rest = pairs
    share = sum(a != b for a, b in zip(*(flat(side.value) for side in tokenised), strict=True))
    row("tokeniser", "", f"{share} lines", [tokenised])
    for metric, (peer, own) in zip(("BLEU-1..4", "METEOR", "ROUGE_L", "CIDEr"), rest, strict=True):
        score = peer.value[0][-1] if metric == "BLEU-1..4" else peer.value[0]
        row(metric, f"{score:.6f}", f"{difference(peer.value, own.value):.1e}", [(peer, own)])
    row("total", "", "", pairs)
    row("no METEOR", "", "", [tokenised, rest[0], rest[2], rest[3]])


def flat(tokens: tuple[list[str], list[list[str]]]) -> list[str]:
    """All token strings of one side."""
    return [*tokens[0], *(text for texts in tokens[1] for text in texts)]


def difference(peer: tuple[Any, Any], own: tuple[Any, list[float]]) -> float:
    """The largest of the corpus scores, and of the captions' where both give them."""
    corpus = [
        abs(a - b) for a, b in zip(*(listed(scores[0]) for scores in (peer, own)), strict=True)
    ]
    return max([*corpus, *(abs(a - b) for a, b in zip(peer[1], own[1], strict=False))])


def listed(scores: Any) -> list[float]:
    """One score or several, as a list."""
    return list(scores) if isinstance(scores, list) else [float(scores)]


def row(name: str, score: str, found: str, pairs: list[tuple[Result, Result]]) -> None:
    """Print seconds and ratio of some metrics."""
    peer, own = (sum(pair[side].seconds for pair in pairs) for side in (0, 1))
    print(f"  {name:10} {score:>10} {found:>11} {peer:9.2f} {own:7.2f} {peer / own:6.1f}")


def print_starts() -> None:
    """Print seconds of METEOR's first use with empty caches, and of the next process."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"HF_HOME": folder, "NUMBA_CACHE_DIR": folder}
        for name in ("cold", "warm"):
            command = [sys.executable, "-c", START]
            done = subprocess.run(
                command, env={**os.environ, **places}, capture_output=True, text=True, check=True
            )
            print(f"Our METEOR's start, {name}: {float(done.stdout):.1f} s")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    print_starts()
    for name, file in FILES.items():
        compare(name, captions(data / file))


if __name__ == "__main__":
    main()
