"""Agreement of a judge with people and with a second judge, against slow references."""

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from report_files import DETAIL, TURNS, dialogues, judged, line, made, score_of, written

from rs_gpt4v.agreement import kappa, kappa_sums, rank_sums, weighted_kappa_sums
from rs_gpt4v.bootstrap import Sums
from rs_gpt4v.cli import main
from rs_gpt4v_evaluation.judge.agreement import Levels, agreement
from rs_gpt4v_evaluation.judge.review_queue import review_queue
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError
from rs_gpt4v_generation.candidates import digest, read_queue, with_images

Pairs = Sequence[tuple[float, float]]

# --- The measures --------------------------------------------------------------------------------


def slow_kappa(pairs: Pairs, weight: Any) -> float:
    """Cohen's definition: 1 - observed by expected disagreement, over all pairs of values."""
    observed = sum(weight(a, b) for a, b in pairs) / len(pairs)
    expected = sum(weight(a, b) for a, _ in pairs for _, b in pairs) / len(pairs) ** 2
    return 1 - observed / expected if expected > 1e-12 else math.nan


def slow_rank_correlation(pairs: Pairs) -> float:
    def ranks(values: list[float]) -> list[float]:
        return [
            sum(other < value for other in values) + (values.count(value) - 1) / 2
            for value in values
        ]

    x, y = (ranks(list(column)) for column in zip(*pairs, strict=True))
    mean = (len(pairs) - 1) / 2
    both = sum((a - mean) * (b - mean) for a, b in zip(x, y, strict=True))
    spread = sum((a - mean) ** 2 for a in x) * sum((b - mean) ** 2 for b in y)
    return both / math.sqrt(spread) if spread else math.nan


def value(sums: Sums) -> float:
    (only,) = sums.total().values()
    return only


LEVELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30)


@settings(max_examples=100, deadline=None)
@given(LEVELS)
def test_kappas_and_rank_correlation_equal_the_slow_ones(pairs: list[tuple[int, int]]) -> None:
    array = np.array(pairs)
    plain = slow_kappa(pairs, lambda a, b: a != b)
    assert value(kappa_sums(array, 4, "k")) == pytest.approx(plain, nan_ok=True)
    by_labels = kappa([(f"l{a}", f"l{b}") for a, b in pairs])
    assert (math.nan if by_labels is None else by_labels) == pytest.approx(plain, nan_ok=True)
    weighted = slow_kappa(pairs, lambda a, b: (a - b) ** 2)
    assert value(weighted_kappa_sums(array, "k")) == pytest.approx(weighted, nan_ok=True)
    ranked = slow_rank_correlation(pairs)
    assert value(rank_sums(array, "r")) == pytest.approx(ranked, nan_ok=True, abs=1e-9)


def test_weighted_kappa_of_a_table_worked_by_hand() -> None:
    pairs = [(1, 1), (1, 2), (2, 2), (3, 1), (3, 3)]
    # Squares of differences: 0 + 1 + 0 + 4 + 0 = 5, mean 1. By chance: the columns are 1,1,2,3,3
    # and 1,2,2,1,3: 1.4 on average over the 25 pairs of values.
    assert value(weighted_kappa_sums(np.array(pairs), "k")) == pytest.approx(1 - 1 / 1.4)


def test_ranks_do_not_ask_how_far_apart_scores_are() -> None:
    array = np.array([(1.0, 3.0), (2.5, 4.0), (9.0, 4.5), (10.0, 10.0)])
    assert value(rank_sums(array, "r")) == pytest.approx(1)
    assert value(weighted_kappa_sums(array, "k")) < 0.75


# --- Files ---------------------------------------------------------------------------------------

N = 60
ANSWERS = [f"Answer {number} to a question." for number in range(N)]


def answered(folder: Path, answers: Sequence[str] = ANSWERS, **more: Any) -> Path:
    """A predictions file of one answer about each image; the images are there."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, answer in enumerate(answers):
        image = folder.parent / f"{number}.png"
        if not image.exists():
            Image.new("RGB", (20 + number % 5, 10), "green").save(image)
        own = line(number, folder.parent, task="detail", prediction=answer, **more)
        rows.append(own | {"source": "rs_gpt4v_instruct", "references": ["The truth."]})
    return written(folder / "detail.jsonl", rows)


def scored(file: Path, scores: dict[str, float], model: str = "judge-a") -> Path:
    out = judged([file], lambda body: score_of(body, scores), model=model)
    return out.rename(file.with_name(f"judged-{model}.jsonl"))


SCORES = dict(zip(ANSWERS, random.Random(1).choices(range(1, 11), k=N), strict=True))
OTHERS = {
    answer: min(10, max(1, score + random.Random(answer).choice([-2, -1, 0, 1, 2])))
    for answer, score in SCORES.items()
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two judges of the same answers."""
    file = answered(tmp_path_factory.mktemp("judged") / "tuned")
    return scored(file, SCORES), scored(file, OTHERS, "judge-b")


def decided(queue: Path, decide: Any, reviewer: str = "ann") -> Path:
    """A reviews file as the page writes it; ``decide`` gives the decision on an answer."""
    path = queue.with_name(f"{queue.name}.reviews.{reviewer}.jsonl")
    lines = []
    for row in with_images(read_queue(queue)).candidates:
        choice = decide(row["messages"][-1]["content"])
        decision: dict[str, Any] = {"id": row["id"], "decision": choice, "reviewer": reviewer}
        decision |= {"at": "2025-05-05T10:00:00+00:00", "of": digest(row)}
        if choice == "reject":
            decision["reason"] = "wrong"
        if choice == "edit":
            decision["messages"] = row["messages"]
        lines.append(json.dumps(decision) + "\n")
    path.write_text("".join(lines))
    return path


def from_score(answer: str, scores: dict[str, float] = SCORES) -> str:
    score = scores[answer]
    return "accept" if score >= 8 else "edit" if score >= 6 else "reject"


def test_two_judges_agree_as_their_scores_do(files: tuple[Path, Path]) -> None:
    (found,), notes = agreement(files)
    pairs = [(SCORES[answer], OTHERS[answer]) for answer in ANSWERS]
    assert (found["raters"], found["n"], found["images"]) == (("judge-a", "judge-b"), N, N)
    assert found["scores"] == pytest.approx(
        {
            "kappa_scores": slow_kappa(pairs, lambda a, b: (a - b) ** 2),
            "rank_correlation": slow_rank_correlation(pairs),
        }
    )
    for name, (low, high) in found["intervals"].items():
        assert low < (found["scores"][name] or 0) < high
    assert not found["warning"]
    assert not notes


def test_people_who_decide_as_the_judge_scores_agree_fully(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    queue = tmp_path / "queue.jsonl"
    assert review_queue([files[0]], queue, number=N) == (N, [])
    (found,), _ = agreement([files[0], decided(queue, from_score)])
    assert found["raters"] == ("judge-a", "ann")
    assert found["kinds"] == ("judge", "person")
    assert found["scores"]["kappa_kept"] == found["scores"]["kappa_levels"] == 1
    (other,), _ = agreement([files[0], decided(queue, from_score)], Levels(3, 4), resamples=0)
    assert (other["scores"]["kappa_levels"] or 0) < 1
    assert not other["intervals"]


def test_agreement_with_people_equals_the_slow_one(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    queue = tmp_path / "queue.jsonl"
    review_queue([files[0]], queue, number=N)
    choices = {a: random.Random(a).choice(["accept", "edit", "reject", "skip"]) for a in ANSWERS}
    people = [decided(queue, choices.__getitem__), decided(queue, from_score, "ben")]
    (judge_ann, judge_ben, ann_ben), _ = agreement([*people, files[0]])
    level = {"reject": 0, "edit": 1, "accept": 2}
    pairs = [
        (level[from_score(answer)], level[choice])
        for answer, choice in choices.items()
        if choice != "skip"
    ]
    assert judge_ann["n"] == len(pairs)
    kept = slow_kappa([(a > 0, b > 0) for a, b in pairs], lambda a, b: a != b)
    assert judge_ann["scores"]["kappa_kept"] == pytest.approx(kept)
    levels = slow_kappa(pairs, lambda a, b: (a - b) ** 2)
    assert judge_ann["scores"]["kappa_levels"] == pytest.approx(levels)
    assert judge_ben["scores"]["kappa_levels"] == 1
    assert ann_ben["raters"] == ("ann", "ben")  # what the judge can reach at most
    assert ann_ben["scores"]["kappa_levels"] == pytest.approx(levels)


def test_a_queue_tells_reviewers_neither_model_nor_score(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    other = scored(
        answered(tmp_path / "base", [f"Base {n}." for n in range(N)]),
        {f"Base {n}.": 5 for n in range(N)},
    )
    queue = tmp_path / "queue.jsonl"
    assert review_queue([files[0], other], queue, number=30) == (30, [])
    rows = read_queue(queue)
    assert not rows.problems
    assert all("model" not in row and not row["verdicts"] for row in rows.candidates)
    assert all(
        (row["width"], row["height"]) == (20 + int(Path(row["image"]).stem) % 5, 10)
        for row in rows.candidates
    )
    again = tmp_path / "again.jsonl"
    review_queue([files[0], other], again, number=30)
    assert again.read_bytes() == queue.read_bytes()
    review_queue([files[0], other], again, number=30, seed=1)
    assert again.read_bytes() != queue.read_bytes()


def test_images_that_cannot_be_shown_are_named(tmp_path: Path) -> None:
    file = answered(tmp_path / "tuned", ANSWERS[:3])
    judged_file = scored(file, SCORES)
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_text("no image")
    written, missing = review_queue([judged_file], tmp_path / "queue.jsonl", number=3)
    assert written == 1
    assert sorted(missing) == [str(tmp_path / name) for name in ("1.png", "2.png")]
    (tmp_path / "0.png").unlink()
    with pytest.raises(ValueError, match="has an image that is there"):
        review_queue([judged_file], tmp_path / "queue.jsonl", number=3)


def test_a_decision_on_another_answer_does_not_count(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    queue = tmp_path / "queue.jsonl"
    review_queue([files[0]], queue, number=N)
    reviews = decided(queue, from_score)
    changed = [f"{answer} Indeed." if n < 4 else answer for n, answer in enumerate(ANSWERS)]
    scores = dict(zip(changed, SCORES.values(), strict=True))
    (found,), notes = agreement([scored(answered(tmp_path / "new", changed), scores), reviews])
    assert found["n"] == N - 4
    (note,) = notes
    assert note.startswith("ann: 4 decisions do not count, as the judged files have no such answer")


def test_few_answers_are_warned_of(tmp_path: Path) -> None:
    answers = ANSWERS[:3]
    file = answered(tmp_path / "tuned", answers)
    (found,), _ = agreement([scored(file, SCORES), scored(file, OTHERS, "judge-b")])
    assert found["warning"].startswith("only 3 answers about 3 images")


def test_agreement_that_chance_explains_is_not_defined(tmp_path: Path) -> None:
    file = answered(tmp_path / "tuned", ANSWERS[:3])
    same = dict.fromkeys(ANSWERS, 7)
    (found,), _ = agreement([scored(file, same), scored(file, same, "judge-b")])
    assert found["scores"] == {"kappa_scores": None, "rank_correlation": None}
    assert not found["intervals"]


def test_groups_are_told_apart_and_images_not_rows_are_drawn(tmp_path: Path) -> None:
    files = dialogues(tmp_path / "tuned")
    two = []
    for number, model in enumerate(("judge-a", "judge-b")):
        scores = Counter({answer: n + 2 for n, answer in enumerate([*TURNS, DETAIL])})
        scores[DETAIL] += number
        out = judged(files, lambda body, own=scores: score_of(body, own), model=model)
        two.append(out.rename(out.with_name(f"{model}.jsonl")))
    found, _ = agreement(two)
    assert [(item["group"], item["n"], item["images"]) for item in found] == [
        ("all", 4, 2),
        ("conversation", 3, 2),
        ("detail", 1, 1),
    ]


@pytest.mark.parametrize(
    ("which", "error", "message"),
    [
        (["one"], ValueError, "got only judge-a: add the file of a second judge"),
        (["one", "one again"], ValueError, "got only judge-a"),
        (["reviews"], ValueError, "got only ann"),
        (["one", "others"], ValueError, "no two raters have an answer in common"),
        (["one", "broken"], Exception, "line 1: it lacks at"),
        (["predictions", "one"], PredictionFileError, "is it of rs-gpt4v judge"),
    ],
)
def test_what_does_not_go_together_is_said(
    which: list[str], error: Any, message: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    queue = tmp_path / "queue.jsonl"
    review_queue([files[0]], queue, number=5)
    others = ["Another answer."]
    paths = {
        "one": files[0],
        "one again": tmp_path / "copy.jsonl",
        "reviews": decided(queue, from_score),
        "others": scored(answered(tmp_path / "x", others), dict.fromkeys(others, 5), "judge-b"),
        "broken": tmp_path / "broken.jsonl",
        "predictions": files[0].with_name("detail.jsonl"),
    }
    paths["one again"].write_bytes(files[0].read_bytes())
    paths["broken"].write_text('{"id": "x", "decision": "accept", "reviewer": "b", "of": "0"}\n')
    with pytest.raises(error, match=message):
        agreement([paths[name] for name in which])


@pytest.mark.parametrize("levels", [Levels(0, 8), Levels(9, 8), Levels(6, 11)])
def test_levels_are_scores_in_their_order(levels: Levels, files: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="levels are scores above 1 up to 10"):
        agreement(files, levels)


# --- The verb and the report ---------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["rs-gpt4v", "agreement", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        main()
    return int(done.value.code or 0)


def test_the_verb_writes_a_queue_and_compares(
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue = tmp_path / "queue.jsonl"
    assert run(monkeypatch, files[0], "--queue", queue, "--number", "20") == 0
    assert f"20 answers: {queue}" in capsys.readouterr().out
    reviews = decided(queue, from_score)
    assert run(monkeypatch, *files, reviews) == 0
    said = capsys.readouterr().out
    assert "judge-a and ann\n  all: 20 answers about 20 images" in said
    assert "kappa of kept or rejected                1.000" in said
    assert "CAUTION: only 20 answers" in said
    assert "accept from 8, as edit from 6" in said
    assert run(monkeypatch, *files, "--json", "--resamples", "0") == 0
    (found,) = json.loads(capsys.readouterr().out)["agreement"]
    assert found["intervals"] == {}
    assert run(monkeypatch, files[0]) == 1
    assert "add the file of a second judge" in " ".join(capsys.readouterr().err.split())


def test_a_report_shows_it_where_both_exist(files: tuple[Path, Path], tmp_path: Path) -> None:
    queue = tmp_path / "queue.jsonl"
    review_queue([files[0]], queue, number=40)
    reviews = decided(queue, from_score)
    alone = made([files[0]])
    assert "Can the judge be trusted?" not in alone
    page = made([files[0], reviews])
    assert "Can the judge be trusted?" in page
    assert "judge-a and ann" in page
    assert "only 40 answers about 40 images" in page
    assert "1.000" in page
    text = made([*files, reviews], "report.md", resamples=50)
    assert "| All answers | 60 | 60 |" in text
    assert "judge\\-a" not in text
    assert text.count("judge-a and") == 3  # its head, and the warning of the few
    with pytest.raises(ValueError, match="reviews files alone"):
        made([reviews])


def test_reviews_of_other_answers_are_left_out_of_a_report(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    others = scored(answered(tmp_path / "x", ["Another answer."]), {"Another answer.": 5})
    queue = tmp_path / "queue.jsonl"
    review_queue([files[0]], queue, number=5)
    reviews = decided(queue, from_score)
    for name in ("report.md", "report.html"):
        text = made([others, reviews], name)
        assert "ann: 5 decisions do not count, as the judged files have no such answer" in text
        assert "Can the judge be trusted?" in text
        assert "Kappa is 1" not in text
