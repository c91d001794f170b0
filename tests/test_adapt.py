"""Wording: chosen by id and seed alone; the paper's rows from the released captions."""

import re
from string import Formatter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gpt4v import adapt, records
from rs_gpt4v import templates as wordings
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.conversation import check

captions = st.lists(st.sampled_from(["a ship .", "A ship .", "a ship", "two ships ."]), min_size=1)


def caption_records(images: list[list[str]]) -> pa.Table:
    rows = [{"key": str(i), "image": f"{i}.tif", "captions": c} for i, c in enumerate(images)]
    return pa.Table.from_pylist(rows, schema=records.CAPTIONS)


def answers(rows: pa.Table) -> list[str]:
    return [messages[-1]["content"] for messages in rows["messages"].to_pylist()]


@pytest.mark.parametrize(
    "task", ["CAPTION", "VQA", "GROUNDING", "REGION_CAPTION", "DETECTION", "SCENE"]
)
def test_at_least_twenty_different_wordings(task: str) -> None:
    templates = getattr(wordings, task)
    assert len(set(templates)) == len(templates) >= 20
    fields = [[f for _, f, _, _ in Formatter().parse(t) if f is not None] for t in templates]
    assert fields == [[] if task == "CAPTION" else [""]] * len(templates)


def test_choice_of_wording_is_pinned() -> None:
    # Another value here means that every published row changes its words.
    ids = pa.array([f"rsvqa_hr/train/{i:06d}" for i in range(6)])
    assert adapt.pick(ids, 0, 20).tolist() == [5, 17, 5, 3, 10, 15]
    assert adapt.pick(ids, 1, 20).tolist() != adapt.pick(ids, 0, 20).tolist()


def test_every_wording_is_used_about_equally() -> None:
    ids = pa.array([f"x/{i}" for i in range(20_000)])
    counts = np.bincount(adapt.pick(ids, 0, 20).astype(int), minlength=20)
    assert counts.min() > 850
    assert counts.max() < 1_150


@given(st.lists(captions, min_size=1, max_size=4))
def test_paper_protocol_keeps_the_distinct_captions_of_each_image(images: list[list[str]]) -> None:
    rows = adapt.captions(caption_records(images), Adaption("s/train/", "train"))
    check(rows)
    assert answers(rows) == [c for image in images for c in dict.fromkeys(image)]
    assert rows["id"].to_pylist() == [
        f"s/train/{i}/{image.index(c)}"
        for i, image in enumerate(images)
        for c in dict.fromkeys(image)
    ]


def test_paper_protocol_has_one_test_row_an_image_with_all_references() -> None:
    images = [["a", "b", "a"], ["c"]]
    rows = adapt.captions(caption_records(images), Adaption("s/test/", "test"))
    assert answers(rows) == ["a", "c"]
    assert rows["references"].to_pylist() == images


@pytest.mark.parametrize("split", ["train", "test"])
def test_release_protocol_keeps_every_caption(split: str) -> None:
    images = [["a", "b", "a"], ["c"]]
    adaption = Adaption(f"s/{split}/", split, protocol="release")
    rows = adapt.captions(caption_records(images), adaption)
    assert answers(rows) == ["a", "b", "a", "c"]


def question_records(questions: list[str]) -> pa.Table:
    rows = [
        {"key": str(i), "image": "1.tif", "question": q, "answer": " 3 ", "question_type": "count"}
        for i, q in enumerate(questions)
    ]
    return pa.Table.from_pylist(rows, schema=records.QUESTIONS)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_questions_keep_their_words(questions: list[str]) -> None:
    rows = adapt.questions(question_records(questions), Adaption("s/", "train"))
    for question, messages in zip(questions, rows["messages"].to_pylist(), strict=True):
        assert messages[0]["role"] == "user"
        assert question.strip() in messages[0]["content"]
    assert answers(rows) == ["3"] * len(questions)
    assert rows["references"].to_pylist() == [["3"]] * len(questions)


def test_a_row_has_the_same_words_among_others_and_alone() -> None:
    table = question_records([f"Question {i}?" for i in range(50)])
    together = adapt.questions(table, Adaption("s/", "train"))["messages"].to_pylist()
    alone = adapt.questions(table.slice(17, 1), Adaption("s/", "train"))["messages"].to_pylist()
    assert alone == together[17:18]


def test_fixed_wording_is_the_first_template() -> None:
    rows = adapt.questions(question_records(["Why?"] * 9), Adaption("s/", "train", seed=None))
    prompts = {messages[0]["content"] for messages in rows["messages"].to_pylist()}
    assert prompts == {wordings.VQA[0].format("Why?")}


@pytest.mark.parametrize(
    ("expression", "within"),
    [
        ("The leftmost airplane", "the leftmost airplane"),
        ("A green and brown golf field.", "a green and brown golf field"),
        (" Vehicle on the left . ", "vehicle on the left"),
        ("the T-junction", "the T-junction"),
        ("T-junction at the top", "T-junction at the top"),
        ("U shaped harbor", "U shaped harbor"),
        ("BMX track", "BMX track"),
        ("2 ships", "2 ships"),
        ("A", "a"),
    ],
)
@pytest.mark.parametrize("seed", [None, *range(12)])
def test_an_expression_is_part_of_a_sentence(
    expression: str, within: str, seed: int | None
) -> None:
    record = {
        "key": "1",
        "image": "1.jpg",
        "expression": expression,
        "label": "ship",
        "points": [1, 1, 5, 5],
        "kind": "hbb",
        "width": 8,
        "height": 8,
    }
    sizes = [pa.field(name, pa.int32()) for name in ("width", "height")]
    table = pa.Table.from_pylist([record], pa.schema([*records.EXPRESSIONS, *sizes]))
    adaption = Adaption("s/train/", "train", seed=seed)
    asked = adapt.grounding(table, adaption).to_pylist()[0]["messages"][0]["content"]
    assert asked in {template.format(within) for template in wordings.GROUNDING}
    # Where it is the answer it is as released.
    assert answers(adapt.region_caption(table, adaption)) == [expression.strip()]


def test_no_sentence_begins_on_the_line_of_a_question() -> None:
    """RSVQA-LR asks "Is it a rural or an urban area" without a question mark."""
    for template in (*wordings.VQA, *wordings.GROUNDING):
        assert not re.search(r"\{\} +[A-Z]", template)
