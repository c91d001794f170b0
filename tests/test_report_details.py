"""A report of columns that are not alike: other rows, other weights, blank replies."""

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from report_files import AFTER, BEFORE, grounding, made, vqa, written

pytest.importorskip("jinja2")

BOX = [40.0, 20.0, 120.0, 60.0]


def shortened(path: Path, left_out: int) -> Path:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for place, line in enumerate(lines) if place != left_out))
    return path


def test_a_reply_of_blanks_is_an_empty_reply(tmp_path: Path) -> None:
    answers = vqa(tmp_path / "a/vqa_hr.jsonl", ["", " ", "\n\t", *AFTER[3:]])
    boxes = grounding(tmp_path / "a/grounding.jsonl", [(BOX, said) for said in (" ", "", "x")])
    page = made([answers, boxes])
    assert re.findall(r"Empty replies.*?<td[^>]*>\s*(\d+)", page, re.DOTALL) == ["3", "2"]


def test_rows_behind_a_score_are_told_of_each_column(tmp_path: Path) -> None:
    files = [vqa(tmp_path / f"{name}/vqa_hr.jsonl", AFTER) for name in ("a", "b")]
    page = made([shortened(files[0], 0), files[1]], "report.md")
    (line,) = (line for line in page.splitlines() if line.startswith("| All questions"))
    assert line.strip("|").split("|")[1].strip() == "6 / 7"


@pytest.mark.parametrize("other", [{"weights": "v"}, {"adapter": "x"}, {"model": "other/model"}])
def test_a_model_card_leaves_out_other_models(tmp_path: Path, other: dict[str, str]) -> None:
    files = [
        vqa(tmp_path / f"{place}/vqa_hr.jsonl", replies)
        for place, replies in (("a", BEFORE), ("b", AFTER))
    ]
    rows = [json.loads(line) | other for line in files[0].read_text().splitlines()]
    written(files[0], rows)
    card = tmp_path / "card.md"
    made(files, card=card)
    (index,) = ModelCard(card.read_text()).data.to_dict()["model-index"]
    values = [
        metric["value"]
        for result in index["results"]
        for metric in result["metrics"]
        if metric["name"] == "All questions (OA)"
    ]
    assert values == [pytest.approx(6 / 7, abs=1e-6)]
