"""Published dialogues beside one's own: texts without images, one table, intervals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_principles import SHIPS, material
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_builders.folder.dialogue_texts import read_dialogue_texts
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_generation.principles.measure import measure, report
from rs_gpt4v_generation.principles.tables import to_one_table
from rs_gpt4v_generation.principles.turns import of_texts


def llava(number: int, *turns: tuple[str, str], **more: Any) -> dict[str, Any]:
    said = [
        {"from": speaker, "value": text}
        for turn in turns
        for speaker, text in zip(("human", "gpt"), turn, strict=True)
    ]
    said[0]["value"] = f"<image>\n{said[0]['value']}"
    return {"id": str(number), "image": f"share/final/P{number}.png", "conversations": said, **more}


GEOCHAT = [llava(0, *SHIPS), llava(1, ("Where is the ship?", "{<10><20><30><40>|<0>}"))]
LHRS = [{"name": "7.jpg", "conv": [{"Question": q, "Answer": a} for q, a in SHIPS]}]
VHM = [llava(0, SHIPS[0], source_dataset="fMoW"), llava(1, SHIPS[1], source_dataset="DOTA")]
MESSAGES = [
    {
        "images": ["a.png", "b.png"],
        "messages": [
            {"role": role, "content": text}
            for turn in SHIPS
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ],
    }
]


def write(path: Path, items: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(items), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("items", "dialogues", "turns", "images"),
    [(GEOCHAT, 2, 4, 2), (LHRS, 1, 3, 1), (VHM, 2, 2, 2), (MESSAGES, 1, 3, 2)],
    ids=["GeoChat", "LHRS", "VHM", "messages"],
)
def test_texts_need_no_images(
    tmp_path: Path, items: Any, dialogues: int, turns: int, images: int
) -> None:
    path = write(tmp_path / "instruct_test.json", items)  # the split in its name says nothing
    for named in (path, write(tmp_path / "folder" / "train.json", items).parent):
        texts = read_dialogue_texts(named, "train")
        found = of_texts("x", texts.records)
        assert (found.rows, found.count, found.images) == (dialogues, turns, images)
        assert (texts.left_out, texts.first) == (0, "")
    assert found.questions.drawn(np.array([0])) == [SHIPS[0][0]]


def test_the_same_texts_measure_the_same_as_rows_of_a_config(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [llava(n, turn) for n, turn in enumerate(SHIPS)])
    ours = measure(material(*[[turn] for turn in SHIPS]), {})
    theirs = measure(of_texts("x", read_dialogue_texts(path, "train").records), {})
    for principle in ("diversity", "richness", "complexity", "robustness"):
        assert getattr(theirs, principle) == getattr(ours, principle)


def test_an_item_that_is_no_dialogue_costs_itself_alone(tmp_path: Path) -> None:
    broken = {"id": "9", "image": "x.png", "conversations": [{"from": "human", "value": "Why?"}]}
    path = write(tmp_path / "a.json", [*GEOCHAT, broken, 7])
    found = report([], beside={"GeoChat": path})
    assert found.measured[0].rows == 2
    assert "2 of 4 items cannot be used, the first: " in found.left_out["GeoChat"]
    assert "a.json, item 2" in found.left_out["GeoChat"]
    assert "GeoChat: 2 of 4 items" in to_one_table(found)


def test_ids_may_repeat_over_the_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("a/train_1.json", "b/train_1.json"):
        write(tmp_path / name, GEOCHAT)
    write(tmp_path / "test.json", GEOCHAT)
    assert read_dialogue_texts(tmp_path, "train").records.num_rows == 4
    assert read_dialogue_texts(tmp_path, "test").records.num_rows == 2


def test_what_holds_no_dialogues_is_told(tmp_path: Path) -> None:
    captions = write(tmp_path / "captions.json", [{"image": "a.png", "caption": "A pier."}])
    with pytest.raises(AnnotationError, match=r"captions\.json: expected dialogues, found .*capt"):
        read_dialogue_texts(captions, "train")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json is not there: name a JSON file"):
        read_dialogue_texts(tmp_path / "nowhere.json", "train")
    one = write(tmp_path / "one" / "train.json", GEOCHAT)
    with pytest.raises(AnnotationError, match="no split 'test'; it has train"):
        read_dialogue_texts(one.parent, "test")
    silent = write(tmp_path / "silent.json", [llava(0, ("Why?", ""))])
    with pytest.raises(AnnotationError, match=r"silent\.json: no dialogue can be used.*item 0"):
        read_dialogue_texts(silent, "train")


def test_intervals_are_over_images(tmp_path: Path) -> None:
    """Ten images say yes, ten say no: half, and a fifth to either side of it."""
    turns = [("Is there a ship?", word) for word in ("yes", "no")]
    items = [llava(n, *[turns[n % 2]] * 3) for n in range(20)]
    one_image = [item | {"image": "one.png"} for item in items]
    found = report(
        [],
        beside={
            "many": write(tmp_path / "a.json", items),
            "one": write(tmp_path / "b.json", one_image),
        },
        resamples=1000,
    )
    many, one = found.measured
    low, high = many.robustness.intervals["negatives"]
    # 1.96 standard errors of a share of one half among 20 images
    assert (low, high) == pytest.approx((0.5 - 0.219, 0.5 + 0.219), abs=0.04)
    assert many.complexity.intervals["mean_turns"] == (3, 3)
    assert "negatives_of_yes_no" in many.robustness.intervals
    assert one.robustness.intervals == {}  # of other images nothing is known
    assert report([], beside={"x": tmp_path / "a.json"}).measured[0].unity.intervals == {}
    assert "50.0% [3" in to_one_table(found) or "50.0% [2" in to_one_table(found)


def test_one_command_prints_one_table(tmp_path: Path) -> None:
    path = write(tmp_path / "geochat.json", GEOCHAT)
    page = tmp_path / "page.html"
    call = ["principles", "--beside", f"GeoChat={path}", "--beside", f"LHRS={path}"]
    said = CliRunner().invoke(app, [*call, "--out", str(page)])
    assert said.exit_code == 0, said.output
    head = next(line for line in said.stdout.splitlines() if "GeoChat" in line)
    assert head.split() == ["measure", "GeoChat", "LHRS"]
    for name in ("Unity", "Diversity", "Correctness", "Richness", "Complexity", "Robustness"):
        assert f"\n  {name} " in said.stdout
    assert "without boxes of all objects no answer can be checked (GeoChat, LHRS)" in said.stdout
    assert "which are not read (GeoChat, LHRS)" in said.stdout
    assert "GeoChat" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--beside", "geochat.json"], "expected NAME=PATH, such as GeoChat=geochat.json"),
        (["--beside", "a=x.json", "--beside", "a=y.json"], "two have the same name"),
        (["--beside", "a=x.json"], "x.json is not there"),
    ],
)
def test_a_wrong_option_is_told(options: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["principles", *options])
    assert result.exit_code
    assert said in str(result.exception)


def test_the_page_may_not_replace_what_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "geochat.json", GEOCHAT)
    call = ["principles", "--beside", f"GeoChat={path}", "--out", str(path)]
    assert "would overwrite" in str(CliRunner().invoke(app, call).exception)
