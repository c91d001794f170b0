"""What the built rows are made of: exact numbers, and a picture that can be read."""

import json
import re
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from test_cli import run

from rs_gpt4v import NAME, adapt, cli
from rs_gpt4v import templates as wordings
from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_builders import CONFIGS, stats
from rs_gpt4v_builders.stats.composition import (
    TEMPLATES,
    Lengths,
    Spread,
    composition,
    compositions,
)
from rs_gpt4v_builders.stats.composition import to_text as details_text
from rs_gpt4v_builders.stats.plot import draw
from rs_gpt4v_builders.stats.table1 import TABLE_1, Built, compare


def rows_of(*dialogues: tuple[str, list[str]], task: str = "vqa") -> datasets.Dataset:
    """One row each of an image's path and the messages about it."""
    return datasets.Dataset.from_list(
        [
            {
                "id": str(place),
                "images": [{"path": image, "bytes": None}],
                "messages": [
                    {"role": ("user", "assistant")[i % 2], "content": said}
                    for i, said in enumerate(messages)
                ],
                "source": "made",
                "task": task,
                "question_type": ("count", None, "area")[place % 3],
                "modality": "optical",
                "references": [messages[-1]],
                "boxes": [],
                "width": 8,
                "height": 8,
            }
            for place, (image, messages) in enumerate(dialogues)
        ],
        features=FEATURES,
    )


SMALL = (
    ("a.png", ["How many?\nAnswer briefly.", "two"]),
    ("a.png", ["Is it rural?\nAnswer briefly.", "no"]),
    ("b.png", ["Question: Is it?\nAnswer with a single word or phrase.", "no"]),
    ("b.png", ["Nothing of ours", "a  b\nc"]),
)


def test_small_table() -> None:
    found = composition("vqa_lr", "train", rows_of(*SMALL))
    assert (found.rows, found.turns, found.images) == (4, 4, 2)
    assert found.per_image == Spread(2, 2, 2)
    assert found.prompts == Lengths(Spread(25, 53, 53), Spread(4, 10, 10))
    assert found.answers == Lengths(Spread(2, 6, 6), Spread(1, 3, 3))
    assert found.distinct_answers == 3
    assert list(found.frequent_answers.items()) == [("no", 0.5), ("a  b\nc", 0.25), ("two", 0.25)]
    assert found.question_types == {"count": 2, "area": 1}
    used = {template: n for template, n in found.templates.items() if n}
    assert used == {wordings.VQA[2]: 2, wordings.VQA[1]: 1}
    assert found.other_prompts == 1


def test_dialogues_count_by_turn_and_have_no_templates() -> None:
    dialogue = ["What?", "Boats.", "How many?", "Two boats.", "Sure?", "Yes."]
    rows = rows_of(("a.png", dialogue), ("b.png", dialogue[:2]), task="conversation")
    found = composition("conversation", "train", rows)
    assert (found.rows, found.turns) == (2, 4)
    assert found.per_image == Spread(1, 3, 3)
    assert found.frequent_answers == {"Boats.": 0.5, "Two boats.": 0.25, "Yes.": 0.25}
    assert (found.templates, found.other_prompts) == ({}, 0)


def test_median_95th_percentile_and_largest_are_values_that_occur() -> None:
    rows = rows_of(*[("a.png", ["?", "x" * n]) for n in range(1, 101)])
    assert composition("any", "train", rows).answers.characters == Spread(50, 95, 100)


def test_ten_answers_are_kept_of_many() -> None:
    found = composition("vqa_lr", "train", rows_of(*[("a.png", ["?", f"{n}"]) for n in range(12)]))
    assert found.distinct_answers == 12
    assert list(found.frequent_answers) == ["0", "1", "10", "11", "2", "3", "4", "5", "6", "7"]


@pytest.mark.parametrize("task", TEMPLATES)
@pytest.mark.parametrize("filling", ["", "ï", "[0.1, 0.2, 0.3, 0.4]", "Is there a\nroad?"])
def test_each_template_is_told_from_all_others(task: str, filling: str) -> None:
    for template in TEMPLATES[task]:
        rows = rows_of(("a.png", [template.replace("{}", filling), "no"]), task=task)
        found = composition("any", "train", rows)
        assert [t for t, n in found.templates.items() if n] == [template]


@pytest.fixture(scope="module")
def loaded(releases: Path) -> dict[str, datasets.DatasetDict | str]:
    return {name: datasets.load_dataset(NAME, name, data_dir=str(releases)) for name in CONFIGS}


def test_template_use_is_what_the_ids_decide(
    loaded: dict[str, datasets.DatasetDict | str],
) -> None:
    for found in compositions(loaded):
        splits = loaded[found.config]
        assert not isinstance(splits, Exception)
        ids = splits[found.split].select_columns(["id"]).with_format("arrow")[:]["id"]
        picked = adapt.pick(ids.combine_chunks(), 0, 20).astype(np.int64)
        expected = np.bincount(picked, minlength=20).tolist() if found.templates else []
        assert list(found.templates.values()) == expected
        assert found.other_prompts == 0


def test_fixed_wording_uses_the_first_template_only(releases: Path) -> None:
    rows = datasets.load_dataset(
        NAME, "cap_ucm", data_dir=str(releases), wording="fixed", split="train"
    )
    found = composition("cap_ucm", "train", rows)
    assert found.templates[wordings.CAPTION[0]] == found.turns
    assert "1 of 20 used" in details_text([found])


def test_numbers_are_those_of_the_rows(loaded: dict[str, datasets.DatasetDict | str]) -> None:
    splits = loaded["vqa_lr"]
    assert not isinstance(splits, Exception)
    rows = splits["train"].to_list()
    found = composition("vqa_lr", "train", splits["train"])
    answers = [row["messages"][1]["content"] for row in rows]
    prompts = [row["messages"][0]["content"] for row in rows]
    assert found.distinct_answers == len(set(answers))
    assert found.frequent_answers["yes"] == answers.count("yes") / len(answers)
    assert found.prompts.characters.largest == max(map(len, prompts))
    assert (
        found.prompts.words.median
        == sorted(len(p.split()) for p in prompts)[(len(prompts) - 1) // 2]
    )
    counts = [row["question_type"] for row in rows].count("count")
    assert found.question_types["count"] == counts


def test_text_is_at_most_110_wide_and_keeps_items_whole(
    loaded: dict[str, datasets.DatasetDict | str],
) -> None:
    text = details_text(compositions(loaded))
    assert max(map(len, text.splitlines())) <= 110
    assert "\N{NO-BREAK SPACE}" not in text
    answers = text[text.index("Answers\n") : text.index("Question types\n")].splitlines()[2:-1]
    assert all(line.endswith(("%", "%;")) for line in answers)


def test_json_includes_the_details(releases: Path) -> None:
    printed = json.loads(run("stats", "--data-dir", releases, "--json"))
    assert printed["sample"] is False
    assert {one["config"] for one in printed["details"]} == set(CONFIGS)
    assert len(printed["lines"]) == len(TABLE_1)
    assert set(printed["details"][0]["answers"]["words"]) == {"median", "p95", "largest"}


def test_details_come_after_the_table(releases: Path) -> None:
    text = run("stats", "--data-dir", releases, "--details")
    assert 0 < text.index("one epoch at batch 64") < text.index("Lengths (median")
    assert "Lengths" not in run("stats", "--data-dir", releases)


def test_plot_is_a_picture_1200_wide(releases: Path, tmp_path: Path) -> None:
    run("stats", "--data-dir", releases, "--plot", tmp_path / "new/stats.png")
    with Image.open(tmp_path / "new/stats.png") as picture:
        assert picture.format == "PNG"
        assert picture.width == 1_200
        assert len(picture.convert("RGB").getcolors(picture.width * picture.height) or []) > 100
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["stats.png"]


@pytest.mark.parametrize("sample", [True, False])
def test_plot_holds_its_words_and_is_the_same_each_time(
    sample: bool, loaded: dict[str, datasets.DatasetDict | str], tmp_path: Path
) -> None:
    built, made_of = compare(loaded), compositions(loaded)
    for name in ("first.svg", "second.svg"):
        draw(built, made_of, tmp_path / name, sample=sample)
    svg = (tmp_path / "first.svg").read_text()
    assert svg == (tmp_path / "second.svg").read_text()
    assert ">RS-GPT4V: the paper's Table 1 and what was built<" in svg.replace("&apos;", "'")
    assert all(f">{config}<" in svg for config in CONFIGS)
    assert ">625,340<" in svg
    assert ("synthetic sample" in svg) is sample


def test_plot_of_nothing_built_says_so(tmp_path: Path) -> None:
    draw([Built(line, problem="absent") for line in TABLE_1], [], tmp_path / "a.svg", sample=False)
    svg = (tmp_path / "a.svg").read_text()
    assert svg.count(">not built<") == len(TABLE_1)
    # From top to bottom: in the order of a set the file would differ from process to process.
    heights = [float(y) for y in re.findall(r' y="(\S+)" [^>]*>not in the table<', svg)]
    missing = len(set(CONFIGS) - {line.config for line in TABLE_1 if line.split == "train"})
    train, test = heights[:missing], heights[missing:]
    assert len(train) >= 4
    assert len(test) > len(train)
    assert (train, test) == (sorted(train), sorted(test))


def test_other_formats_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"stats\.pdf: a plot is written as \.png or \.svg"):
        run("stats", "--data-dir", tmp_path, "--plot", tmp_path / "stats.pdf")


def test_without_matplotlib_the_extra_is_named_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "rs_gpt4v_builders.stats.plot")
    monkeypatch.delattr(stats, "plot")
    monkeypatch.setattr(sys, "argv", ["rs-gpt4v", "stats", "--plot", str(tmp_path / "a.png")])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert 'pip install "rs-gpt4v[plot]"' in capsys.readouterr().err
