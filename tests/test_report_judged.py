"""A judge's scores in the report: Table 3, its neighbours in the paper, and the judge's words."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import ChatServer, filtered
from huggingface_hub import ModelCard
from PIL import Image
from report_files import AFTER, DETAIL, TURNS, dialogues, judged, made, packed, score_of, vqa
from test_report import rows, sections

from rs_gpt4v_evaluation.judge import Judge, compare_files, judge_scores
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError
from rs_gpt4v_evaluation.report import paper

NAME = "conversation + detail"
BEFORE_SCORES = dict(zip([*TURNS, DETAIL], (4, 5, 6, 9), strict=True))
AFTER_SCORES = dict(zip([*TURNS, DETAIL], (8, 5, 8, 9), strict=True))
GPT_4V = "gpt-4-1106-vision-preview"


def giving(scores: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
    return functools.partial(score_of, scores=scores)


@pytest.fixture
def both(tmp_path: Path) -> list[Path]:
    """The judged files of two models."""
    scores = {"before": BEFORE_SCORES, "after": AFTER_SCORES}
    return [
        judged(dialogues(tmp_path / name, weights=name), giving(own))
        for name, own in scores.items()
    ]


def words(data: dict[str, Any], numbers: list[int]) -> list[str]:
    return [data["texts"][number] for number in numbers]


def by_prompt(page: str, name: str, column: int = 0) -> dict[str, Any]:
    data = packed(page)
    (group,) = data["groups"]
    return dict(zip(words(data, group["prompt"]), group[name][column], strict=True))


# --- Scores --------------------------------------------------------------------------------------


def test_every_pair_counts_once(both: list[Path]) -> None:
    found = sections(made(both))
    assert list(found) == [NAME, "Examples"]
    table = rows(found[NAME])
    assert table == {
        "Score, 1 to 10": ["n", "before", "after", "difference"],
        "Reasoning and conversation": ["3", "5.000", "7.000", "+2.000"],
        "Detailed description": ["1", "9.000", "9.000", "0.000"],
        "All answers": ["4", "6.000", "7.500", "+1.500"],  # 3 : 1, no mean of the two
        "Rows scored": ["", "4", "4", ""],
        "Rows missing": ["", "0", "0", ""],
        "Empty replies": ["", "0", "0", ""],
        "Without a readable score": ["", "0", "0", ""],
        "Unreadable replies of the judge": ["", "0", "0", ""],
        "Not judged": ["", "0", "0", ""],
        "Times asked": ["", "1", "1", ""],
        "Spread between repeats": ["", "–", "–", ""],  # noqa: RUF001
        "Spread within an answer": ["", "–", "–", ""],  # noqa: RUF001
    }
    assert table["All answers"][1] == f"{judge_scores(both[0])['scores']['all']:.3f}"


def test_who_judged_and_how_the_answers_were_made_is_said(both: list[Path]) -> None:
    prompt = judge_scores(both[0])["judge"]["prompt"]
    judge = f"m, prompt {prompt}, without the image, temperature 0.0, seed 0"
    page = made(both)
    assert f"Judged by {judge}." in page
    facts = rows(sections(page)[NAME], "facts")
    assert facts["Judge"] == [judge] * 2
    assert (
        facts["Decoding"] == ["greedy, at most 16 new tokens; greedy, at most 512 new tokens"] * 2
    )
    assert facts["Rows in split"] == ["4", "4"]
    assert facts["Fingerprint"] == ["c + d"] * 2
    signature = judge_scores(both[0])["scores"]["signature"]
    shown = facts["Signature"][0].replace("| ", "|")  # where a line may break
    assert shown == f"{signature}|missing:0|rows:c + d|protocol:paper"


def test_what_was_asked_in_another_way_is_said(tmp_path: Path) -> None:
    body = {"temperature": None, "top_p": 0.5}
    page = made([judged(dialogues(tmp_path / "a"), giving(BEFORE_SCORES), body=body)])
    assert rows(sections(page)[NAME], "facts")["Judge"][0].endswith("image, seed 0, top_p 0.5")


def test_repeats_have_a_spread(tmp_path: Path) -> None:
    def answering(body: dict[str, Any]) -> str:
        return score_of(body, {key: value - body["seed"] for key, value in BEFORE_SCORES.items()})

    page = made([judged(dialogues(tmp_path / "a"), answering, repeats=2)])
    table = rows(sections(page)[NAME])
    assert table["All answers"] == ["4", "5.500"]
    assert table["Times asked"] == ["", "2"]
    assert table["Spread between repeats"] == ["", "0.707"]
    assert "Spread: standard deviation" in page
    reason = packed(page)["texts"][by_prompt(page, "reasons")["detail 3?"]]
    assert reason == f"9: Because of {DETAIL}\n8: Because of {DETAIL}"


def test_what_has_no_score_is_counted_and_warned_of(tmp_path: Path) -> None:
    def answering(body: dict[str, Any]) -> Any:
        replies = {TURNS[0]: lambda: "no idea", TURNS[1]: filtered}
        answer = json.loads(body["messages"][1]["content"][-1]["text"])["answer"]
        return replies.get(answer, lambda: score_of(body, BEFORE_SCORES))()

    page = made([judged(dialogues(tmp_path / "a", [*TURNS[:2], "", DETAIL]), answering)])
    table = rows(sections(page)[NAME])
    assert table["Reasoning and conversation"] == ["1", "1.000"]  # the empty answer
    assert table["All answers"] == ["2", "5.000"]
    counts = [table[name][1] for name in ("Rows scored", "Empty replies", "Not judged")]
    assert (counts, table["Without a readable score"][1]) == (["2", "1", "1"], "1")
    assert "a: 1 answers were not judged, and do not count" in page
    assert by_prompt(page, "values") == {
        "conversation 0?": None,
        "conversation 1?": None,
        "conversation 2?": 1.0,
        "detail 3?": 9.0,
    }


def test_an_answer_that_one_repeat_failed_to_judge_has_no_score(tmp_path: Path) -> None:
    def answering(body: dict[str, Any]) -> Any:
        answer = json.loads(body["messages"][1]["content"][-1]["text"])["answer"]
        return (
            filtered() if (answer, body["seed"]) == (DETAIL, 1) else score_of(body, BEFORE_SCORES)
        )

    page = made([judged(dialogues(tmp_path / "a"), answering, repeats=2)], resamples=50)
    table = rows(sections(page)[NAME])
    assert (table["Rows scored"], table["Not judged"]) == (["", "3"], ["", "1"])
    assert table["All answers"][1] == "5.000 4.500–6.000"  # noqa: RUF001 (of the scored alone)
    assert "Detailed description" not in table
    assert by_prompt(page, "values")["detail 3?"] is None
    reason = packed(page)["texts"][by_prompt(page, "reasons")["detail 3?"]]
    assert reason.startswith("9: Because of")
    assert "\nno score: " in reason


def test_intervals_draw_images_with_all_their_answers(tmp_path: Path) -> None:
    file = judged(dialogues(tmp_path / "a"), giving(BEFORE_SCORES))
    # Image 0 has two turns of 4 and 5, image 1 a turn of 6 and a description of 9.
    draws = np.random.default_rng(0)
    means = []
    for _ in range(500):
        picked = draws.integers(2, size=2)
        means.append(np.concatenate([np.array([[4, 5], [6, 9]])[image] for image in picked]).mean())
    low, high = np.percentile(means, [2.5, 97.5])
    table = rows(sections(made([file], resamples=500))[NAME])
    assert table["All answers"][1] == f"6.000 {low:.3f}–{high:.3f}"  # noqa: RUF001
    assert table["Detailed description"][1] == "9.000 9.000–9.000"  # noqa: RUF001


def test_other_judges_are_warned_of(both: list[Path], tmp_path: Path) -> None:
    warning = "Different judges or prompts gave the scores"
    assert warning not in made(both)
    other = judged(dialogues(tmp_path / "c"), giving(BEFORE_SCORES), model="another")
    assert warning in made([*both, other])
    lines = [json.loads(text) for text in both[0].read_text().splitlines()]
    lines[0]["verdicts"][0]["served"] = "m-2"
    both[0].write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert "before: several models answered as the judge: m, m-2." in made(both)


# --- Which files ---------------------------------------------------------------------------------


def test_predictions_that_were_judged_make_no_table_of_their_own(both: list[Path]) -> None:
    folder = sorted(both[1].parent.glob("*.jsonl"))
    assert [path.name for path in folder] == ["conversation.jsonl", "detail.jsonl", "judged.jsonl"]
    answers = vqa(both[1].parent / "vqa_hr.jsonl", AFTER)
    assert list(sections(made([*folder, answers]))) == [NAME, "vqa_hr", "Examples"]


def test_predictions_that_nobody_judged_are_refused(both: list[Path], tmp_path: Path) -> None:
    other = dialogues(tmp_path / "other", weights="other")
    again = dialogues(both[0].parent, ["Changed.", *TURNS[1:], DETAIL], weights="before")
    third = dialogues(tmp_path / "c", model="another/model", weights="before")
    for files in ([*both, *other], [*both, *third], [*both, *again]):
        with pytest.raises(PredictionFileError, match=r"a model judges them, with rs-gpt4v judge"):
            made(files)


def test_one_kind_alone_has_a_table_of_its_own(both: list[Path], tmp_path: Path) -> None:
    alone = judged(dialogues(tmp_path / "c")[:1], giving(BEFORE_SCORES))
    found = sections(made([*both, alone]))
    assert list(found) == [NAME, "conversation", "Examples"]
    assert found["conversation"].count("<figcaption>") == 1  # of Table 3, that column alone


def test_verdicts_on_two_models_are_no_scores(both: list[Path], tmp_path: Path) -> None:
    ours, theirs = (path.with_name("detail.jsonl") for path in both)
    out = tmp_path / "x/compared.jsonl"
    with ChatServer(lambda _: '{"reason": "", "better": "tie"}') as server:
        judge = Judge(endpoint=server.endpoint(), journal=tmp_path / "j", with_image=False)
        compare_files([ours], [theirs], out, judge)
    with pytest.raises(PredictionFileError, match="is it of rs-gpt4v judge, without --against"):
        made([out])


# --- The paper -----------------------------------------------------------------------------------


def judge_score(**changes: Any) -> Any:
    dataset = {
        "config": NAME,
        "split": "test",
        "protocol": "paper",
        "rows": 4_600,
        "fingerprint": "f",
    }
    means = {"conversation": 6.0, "detail": 7.0, "all": 6.133}
    counts = {"n_conversation": 3_987, "n_detail": 613, "n": 4_600}
    rule = {"model": GPT_4V, "served": [GPT_4V], "with_image": True}
    whole = {"dataset": dataset, "metric": "rs_judge", "n": 4_600, "missing": 0}
    return {
        **whole,
        "scores": {**means, **counts, **changes.get("scores", {})},
        "rule": {**rule, **changes.get("rule", {})},
        "dataset": {**dataset, **changes.get("dataset", {})},
    }


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ["", "", ""]),
        ({"dataset": {"config": "instruct"}}, ["", "", ""]),
        ({"rule": {"served": []}}, ["", "", ""]),
        ({"rule": {"model": "gpt-4o", "served": []}}, ["another judge (gpt-4o)"] * 3),
        (
            {"rule": {"served": [GPT_4V, "gpt-4o-2024-11-20"]}},
            [f"another judge ({GPT_4V}, gpt-4o-2024-11-20)"] * 3,
        ),
        ({"rule": {"with_image": False}}, ["judged without the image"] * 3),
        ({"dataset": {"split": "train"}}, ["another split (train)"] * 3),
        ({"dataset": {"protocol": "release"}}, ["another protocol (release)"] * 3),
        (
            {"scores": {"n_conversation": 3_980, "n": 4_593}},
            ["3,980 of 3,987 rows", "", "4,593 of 4,600 rows"],
        ),
        ({"dataset": {"config": "conversation"}}, [""]),
        ({"dataset": {"config": "mine"}}, []),
    ],
)
def test_a_judge_compares_with_table_3_where_all_is_the_same(
    changes: dict[str, Any], reasons: list[str]
) -> None:
    found = paper.beside([judge_score(**changes)], is_sample=False)
    assert [one.reasons for one in found] == [[reason] for reason in reasons]
    assert [one.ours for one in found] == [[6.0], [7.0], [6.133]][: len(found)]


def test_table_3_stands_beside_with_differences_or_the_reason(
    both: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = sections(made(both))[NAME]
    assert "Beside Table 3 of the paper" in section
    table = rows(section, "scores paper")
    assert table["Method"] == ["paper", "before", "after"]
    assert table["LLaVA-1.5"] == ["5.21", "not compared: another judge (m)"]

    sizes = zip(paper.TABLE_3, (3, 1, 4), strict=True)
    small = tuple(table._replace(rows=size) for table, size in sizes)
    monkeypatch.setitem(paper.TABLES, "rs_judge", small)
    images = [tmp_path / f"{row}.png" for row in range(2)]
    for image in images:
        Image.new("RGB", (8, 8)).save(image)
    files = dialogues(tmp_path / "a")
    section = sections(made([judged(files, giving(AFTER_SCORES), GPT_4V, with_image=True)]))[NAME]
    found = [rows(part, "scores paper") for part in section.split("<figure>")[1:]]
    assert [table["MoE-LoRA"] for table in found] == [
        ["6.108", "+0.892"],
        ["6.468", "+2.532"],
        ["6.156", "+1.344"],
    ]
    assert [table["This report"] for table in found] == [
        ["", "7.000"],
        ["", "9.000"],
        ["", "7.500"],
    ]


# --- Other outputs -------------------------------------------------------------------------------


def test_rows_have_the_judges_words_and_what_was_before(both: list[Path]) -> None:
    page = made(both)
    data = packed(page)
    (group,) = data["groups"]
    assert group["measure"] == "Score"
    assert by_prompt(page, "values", 1) == {
        "conversation 0?": 8,
        "conversation 1?": 5,
        "conversation 2?": 8,
        "detail 3?": 9,
    }
    reasons = by_prompt(page, "reasons")
    assert data["texts"][reasons["conversation 2?"]] == "Because of No."
    before = dict(zip(words(data, group["prompt"]), group["history"], strict=True))
    assert words(data, before["conversation 1?"]) == ["Ships?", "Two ships, moored."]
    assert before["detail 3?"] == []
    tasks = dict(zip(words(data, group["prompt"]), words(data, group["task"]), strict=True))
    assert tasks["detail 3?"] == "Detailed description"
    assert set(group["right"]) == {"----"}


def test_markdown_has_table_3(both: list[Path]) -> None:
    text = made(both, "report.md")
    assert "| All answers | 4 | 6.000 | 7.500 | +1.500 |\n" in text
    assert "* Without a readable score: 0, 0\n" in text
    assert text.count("Beside Table 3 of arXiv 2406.12479: ") == 3
    assert text.count("its version and the number of repetitions are not published") == 1
    assert "| Method | paper | before | after |\n" in text
    assert "| MoE-LoRA | 6.156 | another judge (m) | another judge (m) |\n" in text
    assert "| This report |  | 6.000 | 7.500 |\n" in text


def test_model_card_has_the_scores_with_their_judge(both: list[Path], tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    made(both, card=card)
    data = ModelCard(card.read_text()).data.to_dict()
    (result,) = data["model-index"][0]["results"]  # of the last file's weights alone
    assert result["task"]["type"] == "image-text-to-text"
    assert result["dataset"]["config"] == NAME
    assert {m["name"]: m["value"] for m in result["metrics"]} == {
        "Reasoning and conversation": 7.0,
        "Detailed description": 9.0,
        "All answers": 7.5,
    }
    assert {m["type"] for m in result["metrics"]} == {"rs_judge"}
    assert "rs_judge|v1|judge:m|prompt:" in result["metrics"][0]["args"]["signature"]
