"""Rows with several images, or with none: kept by whatever reads rows, or refused by their id."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

pytest.importorskip("transformers")

import tiny_families
from chat_server import ChatServer
from conftest import CPU_TRAINING
from PIL import Image
from transformers import AutoProcessor

from rs_gpt4v import NAME
from rs_gpt4v.conversation import InvalidConversationError
from rs_gpt4v_evaluation.judge import Judge, compare_files, judge_files
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError, read_predictions
from rs_gpt4v_evaluation.predict.server import predict_by_server
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_training.chat_template import use_trainable_template
from rs_gpt4v_training.row_checks import refuse_unlearnable, token_count, token_lengths
from rs_gpt4v_training.sft import main

H, G = {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A field."}
ITEMS = [
    {"id": "one", "image": "1.png", "conversations": [H, G]},
    {"id": "three", "images": ["2.png", "1.png", "3.png"], "conversations": [H, G]},
    {"id": "none", "conversations": [{"from": "human", "value": "What is SAR?"}, G]},
]
IMAGES = {"one": ["1.png"], "three": ["2.png", "1.png", "3.png"], "none": []}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    for number, size in ((1, (60, 40)), (2, (30, 30)), (3, (28, 56))):
        Image.new("RGB", size, (90 * number % 255, 80, 9)).save(folder / f"{number}.png")
    for split in ("train", "test"):
        (folder / f"{split}.json").write_text(json.dumps(ITEMS))
    return folder


@pytest.fixture(scope="module")
def rows(own: Path) -> datasets.Dataset:
    return datasets.load_dataset(NAME, "folder", split="test", data_dir=str(own))


def names(line: Any) -> list[str]:
    """The names of the images of a line of predictions."""
    first = [line["image"]] if line["image"] else []
    return [Path(path).name for path in (*first, *line.get("further_images", []))]


def key(line: Any) -> str:
    return line["id"].rpartition("/")[2]


def about(rows: datasets.Dataset) -> Any:
    return describe(rows, config="folder", split="test", protocol="paper", box_format="llava")


@pytest.fixture
def predicted(rows: datasets.Dataset, tmp_path: Path) -> Path:
    out = tmp_path / "p.jsonl"
    with ChatServer(lambda _: "A meadow.") as server:
        predict_by_server(server.endpoint(model="m"), rows, about(rows), out)
        shown = [images_in(body) for body in server.bodies]
    assert sorted(shown) == [0, 1, 3]
    return out


def images_in(body: dict[str, Any]) -> int:
    content = body["messages"][-1]["content"]
    return sum(part["type"] == "image_url" for part in content)


def test_predictions_name_all_images(predicted: Path) -> None:
    lines = read_predictions(predicted)
    assert {key(line): names(line) for line in lines} == IMAGES
    assert [(line["width"], line["height"]) for line in lines] == [(60, 40), (30, 30), (0, 0)]


def test_a_model_answers_them_in_one_batch(
    rows: datasets.Dataset, tiny_llava: Path, tmp_path: Path
) -> None:
    predictor = Predictor(str(tiny_llava), max_new_tokens=3)
    out = tmp_path / "p.jsonl"
    predict(predictor, rows, about(rows), out, batch_size=3)
    assert {key(line): names(line) for line in read_predictions(out)} == IMAGES


def test_a_judge_sees_all_images(predicted: Path, tmp_path: Path) -> None:
    with ChatServer(lambda _: '{"reason": "so", "score": 4}') as server:
        judge = Judge(endpoint=server.endpoint(), journal=tmp_path / "journal.jsonl")
        judge_files([predicted], tmp_path / "judged.jsonl", judge)
        assert sorted(map(images_in, server.bodies)) == [0, 1, 3]
    lines = [json.loads(line) for line in (tmp_path / "judged.jsonl").read_text().splitlines()]
    assert {key(line): names(line) for line in lines} == IMAGES
    page = tmp_path / "report.html"
    report([tmp_path / "judged.jsonl"], page, resamples=20)
    assert "2.png and 2 more" in page.read_text(encoding="utf-8")


def test_two_models_are_compared_on_all_images(predicted: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    lines = [json.loads(line) for line in predicted.read_text().splitlines()]
    changed = [line | {"prediction": "A lake.", "model": "o"} for line in lines]
    other.write_text("".join(json.dumps(line) + "\n" for line in changed))
    with ChatServer(lambda _: '{"reason": "so", "better": "tie"}') as server:
        judge = Judge(endpoint=server.endpoint(), journal=tmp_path / "journal.jsonl")
        compare_files([predicted], [other], tmp_path / "duel.jsonl", judge)
        assert sorted(map(images_in, server.bodies)) == [0, 0, 1, 1, 3, 3]


def test_a_further_image_that_is_gone_is_named_before_judging(
    predicted: Path, tmp_path: Path
) -> None:
    gone = predicted.read_text().replace("3.png", "4.png")
    predicted.write_text(gone)
    with ChatServer(lambda _: "") as server:
        judge = Judge(endpoint=server.endpoint(), journal=tmp_path / "journal.jsonl")
        with pytest.raises(PredictionFileError, match=r"folder/test/three: its image .*4\.png"):
            judge_files([predicted], tmp_path / "judged.jsonl", judge)
        assert server.bodies == []


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("image_size", [None, 28])
def test_one_batch_trains_on_all_of_them(
    own: Path, tiny_llava: Path, tmp_path: Path, image_size: int | None
) -> None:
    out = tmp_path / "out"
    fields = {
        "datasets": ["folder"],
        "data_dir": str(own),
        "model_name_or_path": str(tiny_llava),
        "output_dir": str(out),
        "max_steps": 1,
        "per_device_train_batch_size": 3,
        "max_length": 400,
        **({"image_size": image_size} if image_size else {}),
        **CPU_TRAINING,
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(fields))
    main([str(tmp_path / "recipe.yaml")])
    assert (out / "model.safetensors").is_file()


def test_tokens_of_all_images_count(rows: datasets.Dataset, tiny_llava: Path) -> None:
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    each: Any = rows
    by_row = {key(row): token_count(row, processor) for row in each}
    assert by_row["three"] - by_row["one"] == 10  # two more images of four tokens and a line break
    close = pytest.approx([by_row[name] for name in IMAGES], abs=3)  # one at an image's edge
    assert token_lengths(rows, processor).tolist() == close


def test_a_model_that_takes_no_text_alone_names_the_row(
    rows: datasets.Dataset, tmp_path: Path
) -> None:
    tiny_families.build("paligemma", tmp_path)
    processor: Any = AutoProcessor.from_pretrained(tmp_path)
    use_trainable_template(processor, "paligemma")
    refuse_unlearnable(rows.select([0]), processor)
    with pytest.raises(InvalidConversationError, match=r"folder/test/none: it has no image, and"):
        refuse_unlearnable(rows, processor)
