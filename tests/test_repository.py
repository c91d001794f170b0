"""Rows of a repository: only what can be learned from enters, and what cannot is named."""

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features, List, Value
from PIL import Image

pytest.importorskip("trl")

from transformers import AutoProcessor

from rs_gpt4v.conversation import FEATURES, InvalidConversationError
from rs_gpt4v_training.arguments import DataArguments
from rs_gpt4v_training.row_checks import (
    TooLongError,
    refuse_cut_rows,
    refuse_unlearnable,
    token_count,
)
from rs_gpt4v_training.rows import load_rows, stream_rows
from rs_gpt4v_training.sft import main, plain_errors

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

Row = dict[str, Any]
MINIMAL = Features({name: FEATURES[name] for name in ("images", "messages")})
GOOD = (("user", "How many ships?"), ("assistant", "two"))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # `datasets` waits 5 s whenever a Parquet stream ends (apache/arrow#45214).
    monkeypatch.setattr("datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)


def picture(folder: Path, number: int, size: tuple[int, int] = (40, 30)) -> str:
    path = folder / f"{number}.png"
    Image.new("RGB", size, (number, 0, 0)).save(path)
    return str(path)


def dialogue(*turns: tuple[str, str | None]) -> list[Row]:
    return [{"role": role, "content": content} for role, content in turns]


def row(folder: Path, number: int, **given: Any) -> Row:
    empty = dict.fromkeys(FEATURES)
    return empty | {
        "id": f"own/{number}",
        "images": [picture(folder, number)],
        "messages": dialogue(*GOOD),
        "task": "vqa",
        "width": 40,
        "height": 30,
        **given,
    }


def repository(folder: Path, rows: list[Row], features: Features = FEATURES) -> Path:
    """A folder of one Parquet file, its images inside."""
    out = folder / "repository"
    out.mkdir()
    kept = [{name: one[name] for name in features} for one in rows]
    Dataset.from_list(kept, features=features).to_parquet(out / "train-0.parquet")
    return out


def read(folder: Path | str, *, streaming: bool) -> list[Row]:
    data = DataArguments(["default"], repository=str(folder), streaming=streaming)
    if not streaming:
        return [dict(one) for one in load_rows(data, "train", seed=0)]
    with plain_errors():
        return sorted(stream_rows(data, "train", seed=0), key=lambda one: one["id"])


BOTH = pytest.mark.parametrize("streaming", [False, True], ids=["loaded", "streaming"])


@BOTH
@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        (GOOD[:1], "roles do not go user, assistant, .* up to an answer"),
        ((*GOOD, ("user", "And now?")), "up to an answer"),
        (GOOD[::-1], "roles do not go"),
        ((("human", "Is it?"), ("gpt", "yes")), "roles do not go"),
        ((GOOD[0], ("assistant", " ")), "is empty"),
        ((GOOD[0], ("assistant", None)), "is empty"),
        ((), "it has no messages"),
        ((("user", "<image>\nHow many?"), GOOD[1]), "holds '<image>'"),
        ((("user", "in the <video> here"), GOOD[1]), "holds '<video>'"),
    ],
)
def test_a_row_that_teaches_nothing_is_named(
    tmp_path: Path, turns: tuple[tuple[str, str | None], ...], fault: str, streaming: bool
) -> None:
    rows = [row(tmp_path, i) for i in range(3)]
    rows.insert(2, row(tmp_path, 7, messages=dialogue(*turns)))
    with pytest.raises(InvalidConversationError, match=rf"^own/7: .*{fault}"):
        read(repository(tmp_path, rows), streaming=streaming)


@BOTH
def test_trl_s_two_columns_are_enough(tmp_path: Path, streaming: bool) -> None:
    rows = [row(tmp_path, i, images=[picture(tmp_path, 100 + i, (20 + i, 50))]) for i in range(3)]
    found = read(repository(tmp_path, rows, MINIMAL), streaming=streaming)
    assert [one["id"] for one in found] == [f"default/train/{i}" for i in range(3)]
    assert [(one["width"], one["height"]) for one in found] == [(20, 50), (21, 50), (22, 50)]
    assert [one["images"][0].getpixel((0, 0)) for one in found] == [
        (100 + i, 0, 0) for i in range(3)
    ]
    assert found[0]["messages"] == dialogue(*GOOD)
    assert found[0]["task"] is None


@BOTH
def test_an_image_turned_by_its_exif_data_has_the_size_that_is_shown(
    tmp_path: Path, streaming: bool
) -> None:
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (50, 20)).save(turned, exif=exif)
    folder = repository(tmp_path, [row(tmp_path, 0, images=[str(turned)])], MINIMAL)
    (found,) = read(folder, streaming=streaming)
    assert (found["width"], found["height"]) == found["images"][0].size == (20, 50)


@BOTH
@pytest.mark.parametrize("kind", ["cut", "deep", "missing"])
def test_an_image_that_cannot_be_shown_is_named_with_its_row(
    tmp_path: Path, kind: str, streaming: bool
) -> None:
    bad = tmp_path / "bad.png"
    if kind == "deep":
        Image.fromarray(np.full((9, 9), 4_000, np.uint16)).save(bad)
    else:
        Image.effect_noise((60, 60), 50).save(bad)
        bad.write_bytes(bad.read_bytes()[:900])
    folder = repository(tmp_path, [row(tmp_path, 0), row(tmp_path, 1, images=[str(bad), str(bad)])])
    if kind == "missing":
        found = Dataset.from_parquet(str(folder / "train-0.parquet"))
        assert isinstance(found, Dataset)
        nothing = {"bytes": None, "path": str(tmp_path / "nowhere.png")}
        raw = found.cast_column("images", List(datasets.Image(decode=False)))
        raw = raw.map(lambda one: {"images": [nothing] if one["id"] == "own/1" else one["images"]})
        raw.to_parquet(folder / "train-0.parquet")
    with pytest.raises(InvalidConversationError, match=r"^own/1: .*(decoded|16-bit|missing)"):
        read(folder, streaming=streaming)


@BOTH
def test_rows_may_have_two_images_or_none_and_a_system_message(
    tmp_path: Path, streaming: bool
) -> None:
    two = [picture(tmp_path, 5, (300, 9)), picture(tmp_path, 6)]
    folder = repository(
        tmp_path,
        [
            row(tmp_path, 0, images=[], width=None, height=None),
            row(tmp_path, 1, images=two, width=None, height=None),
            row(tmp_path, 2, messages=dialogue(("system", "Be brief."), *GOOD)),
        ],
    )
    found = read(folder, streaming=streaming)
    assert [len(one["images"]) for one in found] == [0, 2, 1]
    assert [one["width"] for one in found] == [None, 300, 40]


@BOTH
@pytest.mark.parametrize(
    ("features", "rows", "seen"),
    [
        ({"image": Value("string"), "text": Value("string")}, {"image": "a", "text": "b"}, "image"),
        (
            {"images": List(Value("string")), "messages": FEATURES["messages"]},
            {"images": ["a.png"], "messages": dialogue(*GOOD)},
            r"images: List\(Value\('string'\)\)",
        ),
        (
            {
                "images": FEATURES["images"],
                "messages": List({"from": Value("string"), "value": Value("string")}),
            },
            {"images": [], "messages": [{"from": "human", "value": "a"}]},
            "'from'",
        ),
    ],
    ids=["other columns", "paths", "LLaVA's"],
)
def test_another_form_is_refused_with_what_was_found_and_expected(
    tmp_path: Path, features: Row, rows: Row, seen: str, streaming: bool
) -> None:
    folder = repository(tmp_path, [rows], Features(features))
    with pytest.raises(
        ValueError, match=rf"default/train has the columns .*{seen}.* Expected images"
    ):
        read(folder, streaming=streaming)


def test_an_id_of_two_rows_is_refused_however_far_apart(tmp_path: Path) -> None:
    image = picture(tmp_path, 0)
    rows = [row(tmp_path, 0, id=str(i % 1_200), images=[image]) for i in range(1_201)]
    with pytest.raises(InvalidConversationError, match=r"^0: its id occurs twice \(1 such"):
        read(repository(tmp_path, rows), streaming=False)


def test_ids_of_other_types_and_unknown_columns_are_taken_or_told(tmp_path: Path) -> None:
    features = Features({**MINIMAL, "id": Value("int64"), "extra": Value("bool")})
    numbered = [row(tmp_path, i, id=10 + i, extra=True) for i in range(2)]
    (tmp_path / "good").mkdir()
    found = read(repository(tmp_path / "good", numbered, features), streaming=False)
    assert [one["id"] for one in found] == ["10", "11"]
    odd = Features({**MINIMAL, "width": Value("string")})
    folder = repository(tmp_path, [row(tmp_path, 0, width="wide")], odd)
    with pytest.raises(ValueError, match="the column width is string, of which no int32"):
        read(folder, streaming=False)


def test_what_save_to_disk_wrote_is_told_apart(tmp_path: Path) -> None:
    rows = Dataset.from_list([row(tmp_path, 0)], features=FEATURES)
    rows.save_to_disk(tmp_path / "disk")
    with pytest.raises(ValueError, match=r"was written by save_to_disk.*Write Parquet"):
        read(tmp_path / "disk", streaming=False)


def test_the_home_folder_is_known_by_its_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path, [row(tmp_path, 0)])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(read("~/repository", streaming=False)) == 1


def test_minimal_rows_are_trained_on(tiny_llava: Path, tmp_path: Path) -> None:
    rows = [row(tmp_path, i) for i in range(4)]
    fields = {
        "repository": str(repository(tmp_path, rows, MINIMAL)),
        "datasets": ["default"],
        "box_format": "llava",
        "model_name_or_path": str(tiny_llava),
        "output_dir": str(tmp_path / "out"),
        "max_steps": 1,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "disable_tqdm": True,
    }
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(fields))
    assert main([str(recipe)]) == 0
    with pytest.raises(ValueError, match=r"rows of task None: .*one of caption, vqa"):
        main([str(recipe), "--use_moe_lora", "--output_dir", str(tmp_path / "moe")])


# What a model's processor would misread


def conversations(*dialogues: list[Row]) -> Dataset:
    image = Image.new("RGB", (30, 20))
    rows = [
        {"id": f"row{i}", "images": [image], "messages": one, "width": 30, "height": 20}
        for i, one in enumerate(dialogues)
    ]
    names = ("id", "images", "messages", "width", "height")
    return Dataset.from_list(rows, features=Features({name: FEATURES[name] for name in names}))


@pytest.fixture
def processor(tiny_llava: Path) -> Any:
    return AutoProcessor.from_pretrained(tiny_llava)


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_model_s_own_sign_of_an_image_is_refused(processor: Any, kind: str) -> None:
    setattr(processor, f"{kind}_token", "<|pad|>")
    own = dialogue(("user", "a <|pad|> b"), ("assistant", "c"))
    refuse_unlearnable(conversations(dialogue(*GOOD)), processor)
    with pytest.raises(InvalidConversationError, match=r"^row1: .*holds '<\|pad\|>'"):
        refuse_unlearnable(conversations(dialogue(*GOOD), own), processor)


def test_a_dialogue_that_the_template_refuses_is_named(processor: Any) -> None:
    from rs_gpt4v.model_families import PALIGEMMA_TEMPLATE

    processor.chat_template = PALIGEMMA_TEMPLATE
    system = dialogue(("system", "Be brief."), *GOOD)
    refuse_unlearnable(conversations(dialogue(*GOOD)), processor)
    for refused in (dialogue(*GOOD, *GOOD), system):
        with pytest.raises(InvalidConversationError, match=r"^row1: .*PaliGemma takes one quest"):
            refuse_unlearnable(conversations(dialogue(*GOOD), refused, refused), processor)


def test_letters_of_several_bytes_are_not_counted_as_one(processor: Any) -> None:
    """A byte-level tokenizer makes up to four tokens of a letter."""
    rows = conversations(dialogue(("user", "где это " * 20), ("assistant", "🛰" * 30)))
    exact = token_count(rows[0], processor)
    assert exact > 300
    refuse_cut_rows(rows, processor, exact)
    with pytest.raises(TooLongError, match=f"row0 needs {exact} tokens"):
        refuse_cut_rows(rows, processor, exact - 1)


def test_every_image_of_a_row_counts(processor: Any) -> None:
    rows = conversations(dialogue(*GOOD))
    both = rows.map(lambda one: {"images": one["images"] * 2})
    exact = token_count(both[0], processor)
    assert exact > token_count(rows[0], processor)
    refuse_cut_rows(both, processor, exact)
    with pytest.raises(TooLongError, match=f"needs {exact} tokens"):
        refuse_cut_rows(both, processor, exact - 1)
