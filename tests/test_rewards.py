"""A reward is the score that the metric of the row's task gives that one reply."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

pytest.importorskip("trl")

from rs_gpt4v import NAME
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v_evaluation.metric import DEFAULT_RULES
from rs_gpt4v_evaluation.predict.predictions import prediction_line
from rs_gpt4v_evaluation.score import METRIC_OF_TASK
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.rewards import (
    REWARDS,
    RewardFunction,
    Rules,
    check_rewards,
    refuse_unrewarded,
)

RULES = Rules("llava")
OF_CONFIG = {
    "vqa_lr": "answer",
    "vqa_hr": "answer",
    "vqa_rsivqa": "answer",
    "scene_ucm": "scene",
    "grounding": "iou",
    "detect_dior": "detection",
    "detect_dior_obb": "detection",
}


@pytest.fixture(scope="module")
def rows_of(releases: Path) -> Callable[..., datasets.Dataset]:
    def load(config: str, box_format: str = "llava") -> datasets.Dataset:
        options = {"data_dir": str(releases), "box_format": box_format}
        rows: Any = datasets.load_dataset(NAME, config, split="train", **options)
        rows = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
        return rows.select(range(min(10, len(rows))))

    return load


def own_replies(row: dict[str, Any], box_format: str) -> list[str]:
    """Right, nearly right and wrong ones."""
    true = row["messages"][-1]["content"]
    shifted = [[0.9 * number for number in box["points"]] for box in row["boxes"][:2]]
    moved = CODECS[box_format].write([("", box) for box in shifted], row["width"], row["height"])
    return [true, f" {true.upper()}.", f"{true} {true}", moved, "three", "5", "None", "", "a beach"]


def as_columns(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "question": row["messages"][-2]["content"]}


@pytest.mark.parametrize(("config", "reward"), OF_CONFIG.items())
def test_a_reward_is_the_mark_of_the_metric(
    rows_of: Callable[..., datasets.Dataset], config: str, reward: str
) -> None:
    seen = set()
    box_format = "obb" if config == "detect_dior_obb" else "llava"
    for row in rows_of(config, box_format):
        row = dict(row)
        metric = METRIC_OF_TASK[row["task"]]
        for reply in own_replies(row, box_format):
            constants = {"dataset": {"box_format": box_format}}
            line = prediction_line(row, reply, constants)
            (mark,) = metric.marks([line], metric.measure([line], DEFAULT_RULES))
            expected = float(mark.right if mark.value is None else mark.value)  # type: ignore[arg-type]
            found = REWARDS[reward].score(reply, as_columns(row), Rules(box_format))
            assert found == pytest.approx(expected, abs=1e-12), (row["id"], reply)
            seen.add(round(found, 1))
    assert {0.0, 1.0} <= seen


def box_row(points: list[float], kind: str = "hbb", task: str = "grounding") -> dict[str, Any]:
    return {
        "id": "x/1",
        "task": task,
        "source": "dior_rsvg",
        "question_type": None,
        "references": ["[0.10, 0.10, 0.20, 0.20]"],
        "boxes": [{"label": "ship", "points": points, "kind": kind}],
        "width": 100,
        "height": 100,
        "question": "Where is the ship?",
    }


def test_boxes_that_do_not_meet_are_told_apart_by_giou_alone() -> None:
    row = box_row([10, 10, 20, 20])
    replies = ["[0.10, 0.10, 0.20, 0.20]", "[0.25, 0.10, 0.35, 0.20]", "[0.80, 0.80, 0.90, 0.90]"]
    ious = [REWARDS["iou"].score(reply, row, RULES) for reply in replies]
    gious = [REWARDS["giou"].score(reply, row, RULES) for reply in [*replies, "nowhere"]]
    assert ious == pytest.approx([1, 0, 0])
    assert gious == pytest.approx([1, (1 + 200 / 250 - 1) / 2, (1 + 200 / 6400 - 1) / 2, 0])


def test_an_oriented_box_is_rewarded_by_its_oriented_overlap() -> None:
    pytest.importorskip("shapely")
    diamond = [50.0, 0, 100, 50, 50, 100, 0, 50]
    row = box_row(diamond, "obb")
    iou = REWARDS["iou"].score("[0.00, 0.00, 1.00, 1.00]", row, RULES)
    assert iou == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("reply", "graded", "exact"),
    [
        ("[0.00, 0.00, 0.10, 0.10]", 2 / 3, 2 / 3),  # one of two, as it is
        ("[0.00, 0.00, 0.10, 0.10], [0.50, 0.50, 0.60, 0.60]", 1, 1),
        ("[0.00, 0.00, 0.10, 0.04]", 2 / 3 * 4 / 9, 0),  # an IoU of 0.4 reaches four of nine
        ("[0.00, 0.00, 0.10, 0.04], [0.50, 0.50, 0.60, 0.57]", (4 + 3 / 2) / 9, 1 / 2),
        ("[0.00, 0.00, 0.10, 0.04], [0.00, 0.00, 0.10, 0.04]", 1 / 2 * 4 / 9, 0),  # counts once
        ("[0.20, 0.20, 0.30, 0.30]", 0, 0),
        ("There are none.", 0, 0),
        ("I cannot tell.", 0, 0),
    ],
)
@pytest.mark.parametrize("kind", ["hbb", "obb"])
def test_boxes_that_are_nearly_right_have_a_part_of_the_graded_reward(
    reply: str, graded: float, exact: float, kind: str
) -> None:
    pytest.importorskip("shapely")
    boxes = [[0.0, 0, 10, 10], [50.0, 50, 60, 60]]
    row = box_row([], kind, "detection")
    corners = [[a, b, c, b, c, d, a, d] for a, b, c, d in boxes]
    row["boxes"] = [
        {"label": "ship", "points": points, "kind": kind}
        for points in (boxes if kind == "hbb" else corners)
    ]
    names = ("graded_detection", "detection")
    found = [REWARDS[name].score(reply, row, RULES) for name in names]
    assert found == pytest.approx([graded, exact])


@pytest.mark.parametrize(("reply", "reward"), [("There are none.", 1), ("[0.1, 0.1, 0.2, 0.2]", 0)])
def test_where_no_object_is_a_denial_alone_is_right(reply: str, reward: float) -> None:
    row = box_row([], task="detection") | {"boxes": []}
    names = ("graded_detection", "detection")
    assert [REWARDS[name].score(reply, row, RULES) for name in names] == [reward] * 2


@pytest.mark.parametrize(
    ("task", "reply", "reward"),
    [
        ("grounding", "It is at [0.10, 0.10, 0.20, 0.20].", 1),
        ("grounding", "[10, 10, 20]", 0),
        ("detection", "There are none.", 1),
        ("detection", "I cannot tell.", 0),
    ],
)
def test_format_is_what_the_box_format_reads(task: str, reply: str, reward: float) -> None:
    row = box_row([10, 10, 20, 20], task=task)
    assert REWARDS["format"].score(reply, row, RULES) == reward


def test_length_falls_below_one_where_a_reply_is_longer_than_the_references() -> None:
    row = {"references": ["yes", "it is"]}
    replies = ["yes", "it is", "it is so. ", " "]
    assert [REWARDS["length"].score(r, row, RULES) for r in replies] == [1, 1, 0.5, 0]


def test_a_count_is_compared_as_the_recipe_says() -> None:
    row = {"source": "rsvqa_lr", "question_type": "count", "references": ["3"], "task": "vqa"}
    exact = RULES._replace(counts="exact")
    assert [REWARDS["answer"].score("8", row, rules) for rules in (RULES, exact)] == [1, 0]


@pytest.mark.parametrize(
    "reply", ["7" * 300_000, "7 " * 100_000, "[0.1, " * 50_000, "no " * 90_000]
)
def test_a_long_reply_is_scored_in_no_time(reply: str) -> None:
    row = {"source": "rsvqa_lr", "question_type": "area", "references": ["7m2"]}
    assert REWARDS["answer"].score(reply, row, RULES) == 0


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ({"ious": 1}, r"rewards: there is no 'ious'\. Did you mean iou .*There are: answer, scene"),
        ({"iou": 0}, "rewards: iou: 0 is no weight"),
        ({"iou": True}, "rewards: iou: True is no weight"),
        ({"iou": float("inf")}, "rewards: iou: inf is no weight"),
        ({"iou": float("nan")}, "rewards: iou: nan is no weight"),
        ({"iou": 1, "answer": -0.5}, "rewards: answer: -0.5 is no weight"),
        ({}, "expected a weight for each name"),
        (["iou"], "expected a weight for each name"),
    ],
)
def test_wrong_rewards_are_named(rewards: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_rewards(rewards)


def test_without_rewards_a_recipe_has_those_that_are_scores() -> None:
    assert set(check_rewards(None)) == {"answer", "scene", "iou", "graded_detection"}


@pytest.mark.parametrize(
    ("config", "rewards", "message"),
    [
        ("cap_ucm", ["answer"], "its task, caption, has no reward: no score says .* leave its"),
        ("grounding", ["format", "length"], "no reward but format and length: add iou or giou to"),
        ("vqa_lr", ["iou"], "its task, vqa, has no reward: add answer to rewards"),
    ],
)
def test_rows_without_a_reward_are_refused(
    rows_of: Callable[..., datasets.Dataset], config: str, rewards: list[str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        refuse_unrewarded(rows_of(config), rewards, RULES)


def test_rows_whose_replies_cannot_be_scored_are_refused(
    rows_of: Callable[..., datasets.Dataset],
) -> None:
    def of_no_known_source(_: dict[str, Any]) -> dict[str, Any]:
        return {"source": "unheard of", "question_type": "count"}

    def of_two_boxes(row: dict[str, Any]) -> dict[str, Any]:
        return {"boxes": row["boxes"] * 2}

    counts = rows_of("vqa_lr").map(of_no_known_source)
    with pytest.raises(RecipeError, match=r"rsvqa_lr/train/\S+: no reward .*'unheard of' compares"):
        refuse_unrewarded(counts, ["answer"], RULES)
    refuse_unrewarded(counts, ["answer"], RULES._replace(counts="exact"))
    with pytest.raises(RecipeError, match="an expression has one true box, this row has 2"):
        refuse_unrewarded(rows_of("grounding").map(of_two_boxes), ["iou"], RULES)


def test_each_kind_of_row_is_logged_by_itself(rows_of: Callable[..., datasets.Dataset]) -> None:
    rows = [dict(row) for config in ("vqa_lr", "grounding") for row in rows_of(config)]
    columns = {name: [as_columns(row)[name] for row in rows] for name in as_columns(rows[0])}
    logged: dict[str, float] = {}
    shown: dict[str, list[Any]] = {}
    replies = [[{"role": "assistant", "content": row["references"][0]}] for row in rows]
    function = RewardFunction("answer", RULES, shows_references=True)
    scores = function(
        completions=replies, log_metric=logged.__setitem__, log_extra=shown.__setitem__, **columns
    )
    assert scores == [1.0] * 10 + [None] * 10
    kinds = {row["question_type"] for row in rows if row["task"] == "vqa"}
    assert logged == {f"rewards/answer/{kind}": 1.0 for kind in kinds}
    assert shown["reference"][0] == rows[0]["references"][0]
