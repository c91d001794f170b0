"""Which rows are trained on, how often, in which batches; and rows that stream."""

import io
import json
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CPU_TRAINING
from datasets import Dataset
from PIL import Image

pytest.importorskip("trl")

import torch
from transformers import AutoProcessor
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_training.arguments import DataArguments, parse
from rs_gpt4v_training.collators import Uncut
from rs_gpt4v_training.dry_run import Machine, plan
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.repository import COLUMNS
from rs_gpt4v_training.row_checks import TooLongError, token_count
from rs_gpt4v_training.rows import load_rows, stream_rows
from rs_gpt4v_training.sampling import LengthSampler
from rs_gpt4v_training.sft import make_trainer, train

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


def of(releases: Path, names: list[str], **options: Any) -> DataArguments:
    return DataArguments(names, data_dir=str(releases), box_format="llava", **options)


def arguments(model: Path, out: Path, **fields: Any) -> Any:
    given = {
        "model_name_or_path": str(model),
        "output_dir": str(out),
        **CPU_TRAINING,
        "seed": 1,
    }
    recipe = out.parent / f"{out.name}.yaml"
    recipe.write_text(json.dumps(given | fields))
    return parse([str(recipe)])


# Weights


def test_weights_repeat_rows_or_leave_some_out(
    releases: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = load_rows(of(releases, ["vqa_lr", "cap_ucm"]), "train", seed=0)
    there = Counter(plain["source"])
    weights = {"vqa_lr": 0.5, "cap_ucm": 2.25}
    data = of(releases, ["vqa_lr", "cap_ucm"], mixture=weights)
    mixed = load_rows(data, "train", seed=0)
    counts = Counter(mixed["source"])
    lr, ucm = there["rsvqa_lr"], there["ucm_captions"]
    assert counts == {"rsvqa_lr": round(lr / 2), "ucm_captions": 2 * ucm + round(ucm / 4)}
    times = Counter(mixed["id"])
    assert {times[i] for i in plain["id"] if i.startswith("rsvqa_lr")} == {0, 1}
    assert {times[i] for i in plain["id"] if i.startswith("ucm")} == {2, 3}
    assert f"vqa_lr {counts['rsvqa_lr']:,}, cap_ucm {counts['ucm_captions']:,}" in caplog.text
    assert mixed["id"] == load_rows(data, "train", seed=0)["id"]
    assert mixed["id"] != load_rows(data, "train", seed=1)["id"]


def test_weights_are_for_training_alone(releases: Path) -> None:
    plain = load_rows(of(releases, ["vqa_lr"]), "validation", seed=0)
    data = of(releases, ["vqa_lr"], mixture={"vqa_lr": 3})
    assert load_rows(data, "validation", seed=0)["id"] == plain["id"]


def test_weights_of_a_groups_members(releases: Path) -> None:
    plain = Counter(load_rows(of(releases, ["all"]), "train", seed=0)["task"])
    weights = {"grounding": 2, "region_caption": 1}
    mixed = load_rows(of(releases, ["all"], mixture=weights), "train", seed=0)
    assert Counter(mixed["task"]) == plain | {"grounding": 2 * plain["grounding"]}
    whole = load_rows(of(releases, ["instruct"], mixture={"instruct": 2}), "train", seed=0)
    assert len(whole) == 2 * (plain["conversation"] + plain["detail"])


def test_an_absent_member_is_left_out_as_its_group_would(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "UCM_captions").symlink_to(releases / "UCM_captions")
    data = of(tmp_path, ["captioning"], mixture={"cap_ucm": 1}, on_missing="skip")
    assert set(load_rows(data, "train", seed=0)["source"]) == {"ucm_captions"}
    data.on_missing = "raise"
    with pytest.raises(FileNotFoundError, match="NWPU"):
        load_rows(data, "train", seed=0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"vqa_lrr": 1}, "'vqa_lrr' is not trained on. Did you mean vqa_lr.*vqa_lr, cap_ucm"),
        ({"grounding": 1}, "not trained on. There are: vqa_lr, cap_ucm. Take it out .*--mixture"),
        ({"vqa_lr": 0}, "vqa_lr: 0 is no weight: .*There are: vqa_lr, cap_ucm"),
        ({"vqa_lr": -1.0}, "-1.0 is no weight"),
        ({"vqa_lr": "half"}, "'half' is no weight"),
        ({"vqa_lr": float("nan")}, "nan is no weight"),
        ({"vqa_lr": float("inf")}, "inf is no weight"),
    ],
)
def test_bad_weights_are_refused(releases: Path, weights: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_rows(of(releases, ["vqa_lr", "cap_ucm"], mixture=weights), "train", seed=0)


def test_weights_come_from_a_recipe_or_a_flag(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("datasets: [vqa]\nmixture: {vqa_hr: 0.5, vqa_lr: 2}\nuse_cpu: true\n")
    argv = [str(recipe), "--output_dir", "out", "--bf16", "false"]
    assert parse(argv)[0].weights == {"vqa_hr": 0.5, "vqa_lr": 2}
    assert parse([*argv, "--mixture", '{"vqa_lr": 3}'])[0].weights == {"vqa_lr": 3}
    with pytest.raises(RecipeError, match="expected a weight for each name"):
        DataArguments(mixture="[1]")


def test_own_datasets_come_from_a_recipe_or_a_flag(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "datasets: [tiles]\nuse_cpu: true\n"
        "own_datasets: {tiles: {config: folder, data_dir: /a, tasks: [grounding]}}\n"
    )
    argv = [str(recipe), "--output_dir", "out", "--bf16", "false"]
    named = {"config": "folder", "data_dir": "/a", "tasks": ["grounding"]}
    assert parse(argv)[0].own == {"tiles": named}
    flag = json.dumps({"tiles": {"config": "folder", "data_dir": "/b"}})
    assert parse([*argv, "--own_datasets", flag])[0].own["tiles"]["data_dir"] == "/b"
    with pytest.raises(RecipeError, match="own_datasets: expected options for each name"):
        DataArguments(own_datasets="[1]")


# Batches of like length


def test_rows_of_like_length_share_a_batch(
    tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    fields = {
        "datasets": ["vqa_lr", "cap_ucm", "conversation"],
        "data_dir": str(releases),
        "max_rows": 40,
        "max_steps": 1,
        "per_device_train_batch_size": 4,
    }
    spreads = {}
    for grouped in (False, True):
        out = tmp_path / f"grouped_{grouped}"
        trainer = train(*arguments(tiny_llava, out, **fields, group_by_length=grouped))
        rows: Any = trainer.train_dataset
        if grouped:
            processor = AutoProcessor.from_pretrained(tiny_llava)
            exact = [token_count(row, processor) for row in rows]
            assert np.allclose(rows["length"], exact, atol=4)
        lengths = [batch["attention_mask"].sum(1) for batch in trainer.get_train_dataloader()]
        assert sum(map(len, lengths)) == len(rows)
        spreads[grouped] = np.mean([float(each.max() - each.min()) for each in lengths])
        sampler: Any = trainer._get_train_sampler(rows)
        assert sorted(sampler) == list(range(len(rows)))
    assert spreads[True] < 0.5 * spreads[False]


def test_a_step_that_accumulates_has_rows_of_one_kind(
    tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    """LLaVA groups by steps: the rows of one, over all batches of it, all have images or none."""
    fields = {"datasets": ["vqa_lr"], "data_dir": str(releases), "max_rows": 4, "max_steps": 1}
    batches = {"per_device_train_batch_size": 2, "global_batch_size": 8}
    argv = arguments(tiny_llava, tmp_path / "out", **fields, **batches, group_by_length=True)
    images = [["x"] if number % 3 else [] for number in range(60)]
    rows = Dataset.from_dict({"images": images, "length": [*range(60)]})
    order = [*make_trainer(*argv)._get_train_sampler(rows)]
    steps = [{len(images[i]) for i in order[start : start + 8]} for start in range(0, 48, 8)]
    assert {0} in steps
    assert {1} in steps
    assert all(len(step) == 1 for step in steps)


@pytest.mark.parametrize("images", [0, 37, 200])
def test_rows_with_images_and_without_are_in_batches_of_their_own(images: int) -> None:
    rng = np.random.default_rng(1)
    has_image = rng.permutation(np.arange(200) < images)
    lengths = rng.integers(10, 300, 200) + 576 * has_image
    sampler = LengthSampler(lengths, has_image, batch=8, seed=0)
    order = np.array([*sampler])
    assert sorted(order) == list(range(200))
    batches = order[: 24 * 8].reshape(24, 8)
    mixed = [batch for batch in batches if len(set(has_image[batch])) > 1]
    assert len(mixed) <= 1  # what fills no batch of its own
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert spread < 0.3 * np.mean([np.ptp(lengths[rows]) for rows in np.split(np.arange(192), 24)])
    longest = lengths[batches].max(1)
    assert 0.2 < np.mean(np.diff(longest) > 0) < 0.8  # in random order, not from long to short


def test_the_order_is_that_of_the_seed_and_the_epoch_alone() -> None:
    lengths, has_image = np.arange(50), np.ones(50, bool)
    one, other = (LengthSampler(lengths, has_image, batch=4, seed=3) for _ in range(2))
    torch.rand(5)  # as a process does that has trained
    assert [*one] == [*other]
    one.set_epoch(1)
    assert [*one] != [*other]
    other.set_epoch(1)
    assert [*one] == [*other]


# Streams


def shard(path: Path, images: int, suffix: str = "png") -> None:
    """Images with two rows each, as `rs-gpt4v export webdataset` writes them."""
    with tarfile.open(path, "w") as tar:
        for i in range(images):
            content = io.BytesIO()
            Image.new("RGB", (30 + i, 20), (i, 0, 0)).save(content, suffix)
            text = json.dumps({"image": "x", "rows": two_rows(i), "width": 30 + i, "height": 20})
            for name, data in ((suffix, content.getvalue()), ("json", text.encode())):
                info = tarfile.TarInfo(f"train-{i:08d}.{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def two_rows(image: int) -> list[dict[str, Any]]:
    empty = dict.fromkeys(name for name in FEATURES if name not in ("images", "width", "height"))
    turn = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": str(image)}]
    return [empty | {"id": f"{image}/{k}", "messages": turn, "source": "s"} for k in range(2)]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    shard(folder / "train-000000.tar", 5)
    shard(folder / "train-000001.tar", 4)
    return folder


def test_a_shards_sample_becomes_its_rows(shards: Path) -> None:
    data = DataArguments(["default"], repository=str(shards), streaming=True, shuffle_buffer=4)
    stream = stream_rows(data, "train", seed=0)
    rows = list(stream)
    assert stream.features == COLUMNS
    assert stream.n_shards == 2
    assert Counter(row["id"] for row in rows) == {
        f"{i}/{k}": 2 if i < 4 else 1 for i in range(5) for k in range(2)
    }
    for row in rows:
        assert row["images"][0].size == (row["width"], row["height"])
        assert row["images"][0].getpixel((0, 0)) == (int(row["messages"][1]["content"]), 0, 0)


def test_shards_are_streamed_only(shards: Path) -> None:
    with pytest.raises(RecipeError, match="give streaming: true"):
        load_rows(DataArguments(["default"], repository=str(shards)), "train", seed=0)


def test_parquet_files_stream_and_load(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `datasets` waits 5 s whenever a Parquet stream ends (apache/arrow#45214).
    monkeypatch.setattr("datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)
    rows = load_rows(of(releases, ["vqa_lr"], max_rows=6), "train", seed=0)
    folder = tmp_path / "parquet"
    folder.mkdir()
    rows.to_parquet(folder / "train-0.parquet")
    data = DataArguments(["default"], repository=str(folder))
    assert load_rows(data, "train", seed=0)["id"] == rows["id"]
    data.streaming = True
    streamed = list(stream_rows(data, "train", seed=0))
    assert {row["id"] for row in streamed} == set(rows["id"])
    assert streamed[0]["images"][0].size == (streamed[0]["width"], streamed[0]["height"])


def test_streams_are_mixed_by_weight(releases: Path) -> None:
    weights = {"cap_ucm": 3}
    data = of(releases, ["vqa_lr", "cap_ucm"], mixture=weights, streaming=True, max_rows=60)
    first = list(stream_rows(data, "train", seed=0).take(100))
    drawn = Counter(row["source"] for row in first)
    assert 65 <= drawn["ucm_captions"] <= 85
    again = stream_rows(data, "train", seed=0).take(100)
    assert [row["id"] for row in again] == [row["id"] for row in first]


def test_other_splits_stream_in_order_and_once(releases: Path) -> None:
    data = of(releases, ["vqa_lr", "cap_ucm"], streaming=True)
    streamed = [row["id"] for row in stream_rows(data, "validation", seed=0)]
    data.streaming = False
    assert streamed == load_rows(data, "validation", seed=0)["id"]


def test_training_on_a_stream(tiny_llava: Path, releases: Path, tmp_path: Path) -> None:
    fields = {
        "datasets": ["vqa_lr", "cap_ucm"],
        "data_dir": str(releases),
        "streaming": True,
        "max_steps": 2,
        "max_rows": 8,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "logging_steps": 1,
    }
    trainer = train(*arguments(tiny_llava, tmp_path / "out", **fields))
    log = trainer.state.log_history
    assert len([entry for entry in log if "loss" in entry]) == 2
    assert [entry for entry in log if "eval_loss" in entry]
    with pytest.raises(TooLongError, match=r"begins '.+Set max_length: \d+"):
        train(*arguments(tiny_llava, tmp_path / "short", **fields, max_length=20))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "max_steps"),
        ({"max_steps": 2, "group_by_length": True}, "group_by_length"),
        ({"max_steps": 2, "image_size": 28}, "image_size"),
    ],
)
def test_what_a_stream_cannot_do_is_refused(
    tiny_llava: Path, releases: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    given = {"datasets": ["vqa_lr"], "data_dir": str(releases), "streaming": True, **fields}
    with pytest.raises(RecipeError, match=message):
        train(*arguments(tiny_llava, tmp_path / "out", **given))
    with pytest.raises(RecipeError, match="a dry run reads all rows"):
        plan(*arguments(tiny_llava, tmp_path / "dry", **given), Machine())


def test_a_long_row_is_named_and_no_other_stops(tiny_llava: Path, releases: Path) -> None:
    rows = load_rows(of(releases, ["vqa_lr"], max_rows=4), "train", seed=0)
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    lengths = [token_count(row, processor) for row in rows]
    collator = DataCollatorForVisionLanguageModeling(processor)
    longest = rows[int(np.argmax(lengths))]["messages"][0]["content"][:100]
    assert Uncut(collator, max(lengths))([rows[i] for i in range(4)])["input_ids"].shape[0] == 4
    with pytest.raises(TooLongError) as error:
        Uncut(collator, max(lengths) - 1)([rows[i] for i in range(4)])
    assert repr(longest) in str(error.value)
    assert f"Set max_length: {max(lengths)}" in str(error.value)


# Which rows


def test_max_rows_picks_by_the_seed_and_not_the_first(releases: Path) -> None:
    whole = load_rows(of(releases, ["vqa_lr"]), "train", seed=0)["id"]
    some = {
        seed: load_rows(of(releases, ["vqa_lr"], max_rows=30), "train", seed=seed)["id"]
        for seed in (0, 1)
    }
    for ids in some.values():
        assert len(set(ids)) == 30
        assert set(ids) <= set(whole)
        assert len(set(ids) & set(whole[:30])) < 15
        assert len(set(ids) & set(whole[-30:])) < 15
    assert set(some[0]) != set(some[1])
    assert some[0] == load_rows(of(releases, ["vqa_lr"], max_rows=30), "train", seed=0)["id"]


@pytest.mark.parametrize("weight", [0.25, 3])
def test_a_config_without_a_weight_has_each_row_once(releases: Path, weight: float) -> None:
    plain = Counter(load_rows(of(releases, ["vqa_lr", "cap_ucm"]), "train", seed=0)["source"])
    data = of(releases, ["vqa_lr", "cap_ucm"], mixture={"cap_ucm": weight})
    mixed = Counter(load_rows(data, "train", seed=0)["source"])
    assert mixed["rsvqa_lr"] == plain["rsvqa_lr"]
    assert mixed["ucm_captions"] == round(weight * plain["ucm_captions"])


def test_a_config_without_a_weight_streams_by_1(releases: Path) -> None:
    names = ["vqa_lr", "cap_ucm", "cap_sydney"]
    data = of(releases, names, mixture={"cap_ucm": 3, "cap_sydney": 0.25}, streaming=True)
    drawn = Counter(row["source"] for row in stream_rows(data, "train", seed=0).take(200))
    assert 130 <= drawn["ucm_captions"] <= 158  # 3 / 4.25 of them
    assert 33 <= drawn["rsvqa_lr"] <= 62  # 1 / 4.25
    assert 4 <= drawn["sydney_captions"] <= 22  # 0.25 / 4.25


@pytest.mark.parametrize("dry", [False, True], ids=["training", "dry run"])
def test_validation_rows_are_measured_too(tiny_llava: Path, tmp_path: Path, *, dry: bool) -> None:
    """The one row that is too long is of validation."""
    empty = dict.fromkeys(FEATURES)
    for split, words in (("train", "yes"), ("validation", "yes " * 200)):
        turns = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": words}]
        image = Image.new("RGB", (28, 28))
        row = empty | {"id": split, "images": [image], "messages": turns, "task": "vqa"}
        made = Dataset.from_list([row], features=FEATURES)
        (tmp_path / "rows").mkdir(exist_ok=True)
        made.to_parquet(tmp_path / f"rows/{split}-0.parquet")
    fields = {
        "datasets": ["default"],
        "repository": str(tmp_path / "rows"),
        "box_format": "llava",
        "max_length": 150,
        "eval_strategy": "steps",
    }
    given = arguments(tiny_llava, tmp_path / "out", **fields)
    if dry:
        (problem,) = plan(*given, Machine()).problems
        assert re.search("max_length 150 would cut 1 of 1 rows; validation needs", problem)
    else:
        with pytest.raises(TooLongError, match="would cut 1 of 1 rows; validation needs"):
            make_trainer(*given)
