import json
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rs_gpt4v_evaluation.rs_caption import measure as rs_caption
from rs_gpt4v_evaluation.rs_caption import meteor
from rs_gpt4v_evaluation.rs_caption.bleu import bleu_counts, bleu_scores
from rs_gpt4v_evaluation.rs_caption.cider import similarities
from rs_gpt4v_evaluation.rs_caption.measure import measure
from rs_gpt4v_evaluation.rs_caption.ngrams import NgramCounts
from rs_gpt4v_evaluation.rs_caption.rouge import rouge_l
from rs_gpt4v_evaluation.rs_caption.rs_caption import RSCaption


def score_captions(*columns: Any, **options: Any) -> dict[str, Any]:
    return measure(*columns, **options).result


pytestmark = pytest.mark.skipif(bool(meteor.missing()), reason="METEOR needs the extra meteor")
FOLDER = Path(rs_caption.__file__).parent
DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"real captions are not there: {DATA} (see its README.md)"
)

PREDICTIONS = [
    "Many planes are parked near a long building.",
    "There's a river (green) beside the farmland .",
    "",
    "A road, a road and a road",
]
REFERENCES = [
    ["Many planes are parked next to a long building.", "Some planes are near a building"],
    ["A green river is beside the farmland.", "there is a river .", "It's farmland"],
    ["A church .", "A church ."],
    ["Two roads cross"],
]
# Recorded from pycocoevalcap 1.2 with its Java tokeniser and METEOR's jar.
RECORDED = {
    "bleu_1": 0.6399999999744,
    "bleu_2": 0.5116817192316023,
    "bleu_3": 0.3805707425662137,
    "bleu_4": 0.24226827807093454,
    "meteor": 0.3739724880610179,
    "rouge_l": 0.36809234043936045,
    "cider": 1.2713428874938042,
}

words = st.lists(st.sampled_from("abcde"), min_size=1, max_size=12).map(" ".join)
references = st.lists(words | st.just(""), min_size=1, max_size=4)
corpora = st.lists(st.tuples(words, references), min_size=1, max_size=6)


def coco(candidates: list[str], refs: list[list[str]]) -> list[float]:
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu").Bleu(4)
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge").Rouge()
    cider_d = pytest.importorskip("pycocoevalcap.cider.cider").Cider()
    given_, truth = {i: [c] for i, c in enumerate(candidates)}, dict(enumerate(refs))
    scores = bleu.compute_score(truth, given_, verbose=0)[0]
    return [*scores, *(s.compute_score(truth, given_)[0] for s in (rouge, cider_d))]


def corpus_bleu(candidates: list[str], refs: list[list[str]]) -> list[float]:
    return [*map(float, bleu_scores(np.sum(bleu_counts(candidates, refs, NgramCounts()), axis=0)))]


def cider(candidates: list[str], refs: list[list[str]]) -> float:
    return 10 * sum(similarities(candidates, refs, NgramCounts())) / len(candidates)


def ours(candidates: list[str], refs: list[list[str]]) -> list[float]:
    rouge = sum(rouge_l(candidates, refs)) / len(candidates)
    return [*corpus_bleu(candidates, refs), rouge, cider(candidates, refs)]


def numbers(scores: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if name != "signature"}


def test_recorded_scores() -> None:
    scores = score_captions(PREDICTIONS, REFERENCES)
    assert numbers(scores) == pytest.approx(RECORDED, abs=1e-12)
    assert scores["signature"] == (
        "rs_caption|v1|tok:ptb-py|meteor:1.5-en-beam40-py|n:4|refs:2.0|empty:1"
    )


def test_metrics_can_be_chosen() -> None:
    scores = score_captions(PREDICTIONS, REFERENCES, metrics=["cider", "bleu"])
    assert scores.pop("signature") == "rs_caption|v1|tok:ptb-py|meteor:none|n:4|refs:2.0|empty:1"
    chosen = {n: v for n, v in RECORDED.items() if n == "cider" or n.startswith("bleu")}
    assert scores == pytest.approx(chosen, abs=1e-12)


def test_without_its_extra_meteor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rs_caption, "missing", lambda: ["numba"])
    message = (
        r"needs numba: pip install \"rs-gpt4v\[meteor\]\".*metrics=\('bleu', 'rouge_l', 'cider'\)"
    )
    with pytest.raises(ImportError, match=message):
        score_captions(PREDICTIONS, REFERENCES)
    assert "meteor" not in score_captions(PREDICTIONS, REFERENCES, metrics=["cider"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["rouge"]}, r"has the metrics bleu, meteor, .*, got \['rouge'\]"),
        ({"metrics": []}, "has the metrics"),
        ({"meteor_backend": "jar"}, "'python' or 'java', got 'jar'"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_captions(PREDICTIONS, REFERENCES, **options)


@settings(max_examples=200, deadline=None)
@given(corpora)
def test_scores_are_those_of_pycocoevalcap(corpus: list[tuple[str, list[str]]]) -> None:
    candidates, refs = [list(column) for column in zip(*corpus, strict=True)]
    assume(any(ref for item in refs for ref in item))  # COCO fails where no reference has a word
    assert ours(candidates, refs) == pytest.approx(coco(candidates, refs), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(corpora)
def test_scores_stay_in_their_range(corpus: list[tuple[str, list[str]]]) -> None:
    candidates, refs = [list(column) for column in zip(*corpus, strict=True)]
    *shares, cider_d = ours(candidates, refs)
    assert all(0 <= share <= 1 for share in shares)
    assert 0 <= cider_d <= 10 + 1e-9


def test_bleu_takes_the_closest_reference_and_the_shorter_of_two() -> None:
    # 3 words against 2 and 4: no brevity penalty, as 2 is taken.
    assert corpus_bleu(["a b c"], [["a b", "a b c d"]])[0] == pytest.approx(1, abs=1e-8)
    assert corpus_bleu(["a b c"], [["a b c d"]])[0] == pytest.approx(0.7165313106, abs=1e-8)


def test_rouge_takes_precision_and_recall_from_different_references() -> None:
    # P = 2/2 of the first, R = 1/1 of the second; neither alone gives 1.
    assert rouge_l(["a b"], [["a x b", "a"]]) == [1]
    assert max(rouge_l(["a b", "a b"], [["a x b"], ["a"]])) < 1


def test_cider_depends_on_the_set() -> None:
    pair = ["a b c d", "e f g h"]
    refs = [["a b c d"], ["e f g h"]]
    assert cider(pair, refs) == pytest.approx(10)
    assert cider(pair[:1], refs[:1]) == 0  # log(1 image / 1 image)


def test_an_empty_caption_scores_0_and_is_counted() -> None:
    scores = score_captions(["", " . "], [["a road"], ["."]])
    assert numbers(scores) == pytest.approx(dict.fromkeys(numbers(scores), 0), abs=1e-5)
    assert scores["rouge_l"] == 0  # COCO gives 1 to an empty caption with an empty reference
    assert scores["signature"].endswith("|empty:2")


def test_a_reference_without_words_is_scored_as_in_coco() -> None:
    candidates, refs = ["a road", "a farm"], [["", "a road"], [""]]
    assert ours(candidates, refs) == pytest.approx(coco(candidates, refs), abs=1e-12)
    assert score_captions(["a road", "a farm"], [[" .", "a road"], [" ."]])["bleu_1"] > 0


@pytest.mark.parametrize("separator", ["\n", "\r", "\r\n", "\v", "\f", "\u2028"])
def test_a_line_separator_does_not_shift_captions(separator: str) -> None:
    spoilt = [text.replace(" ", separator, 1) for text in PREDICTIONS]
    spoilt_refs = [[ref.replace(" ", separator, 1) for ref in refs] for refs in REFERENCES]
    assert score_captions(spoilt, spoilt_refs) == score_captions(PREDICTIONS, REFERENCES)


@pytest.mark.parametrize(
    ("predictions", "refs", "message"),
    [
        ([], [], "nothing to score"),
        (["a"], [["a"], ["b"]], "one length, got {'predictions': 1, 'references': 2}"),
        (["a", "b"], [["a"], []], r"row 1 needs a list of references, got \[\]"),
        (["a", "b"], [[None], ["b"]], "row 0 needs a list of references"),
        (["a", None], [["a"], ["b"]], "row 1 of predictions is None"),
    ],
)
def test_errors_name_the_row(predictions: list[str], refs: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_captions(predictions, refs)


def test_the_class_passes_errors_on_and_works_afterwards(tmp_path: Path) -> None:
    metric = RSCaption(cache_dir=str(tmp_path))
    with pytest.raises(ValueError, match="nothing to score"):
        metric.compute(predictions=[], references=[])
    with pytest.raises(ValueError, match="row 1 needs a list of references"):
        metric.compute(predictions=["a", "b"], references=[["a"], []])
    assert numbers(metric.compute(predictions=PREDICTIONS, references=REFERENCES)) == pytest.approx(
        RECORDED, abs=1e-12
    )


def test_load_and_batches_give_the_same_scores(tmp_path: Path) -> None:
    metric = evaluate.load(str(FOLDER), cache_dir=str(tmp_path))
    for start in (0, 1, 3):
        rows = slice(start, {0: 1, 1: 3, 3: 4}[start])
        metric.add_batch(predictions=PREDICTIONS[rows], references=REFERENCES[rows])
    assert metric.compute() == score_captions(PREDICTIONS, REFERENCES)


@needs_data
@pytest.mark.parametrize("name", ["ucm", "rsicd"])
def test_scores_of_model_outputs_are_those_of_coco(name: str) -> None:
    text = (DATA / "model_outputs" / "coco_reference.json").read_text("utf-8")
    recorded = json.loads(text)[f"captions_{name}"]
    with (DATA / "model_outputs" / f"captions_{name}.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    refs = [[row[f"caption{index}"] for index in range(5)] for row in rows]
    scores = score_captions([row["answer"] for row in rows], refs)
    names = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr")
    assert numbers(scores) == pytest.approx(
        {n.lower(): recorded[n]["corpus"] for n in names}, abs=1e-9
    )
