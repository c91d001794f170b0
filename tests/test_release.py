"""From final dialogues to a release that the ordinary builder reads, and back."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from datasets.config import HF_DATASETS_CACHE
from generating import scenes
from PIL import Image

from rs_gpt4v_generation.asking import Attempt, GenerationTask
from rs_gpt4v_generation.generate import scene_rows
from rs_gpt4v_generation.probes import ProbeOptions
from rs_gpt4v_generation.products import Dialogue, ProductName
from rs_gpt4v_generation.release import ReleaseError, release

RIGHT = "The image shows one ship and one harbor, and the ship lies left of the harbor."
WRONG = "The image shows nine ships."
ANN = {"reviewer": "ann", "decision": "accept"}


def candidate(
    folder: Path, answer: str, product: ProductName = "conversation", **changes: Any
) -> Any:
    """A line of a queue in ``folder`` on an image there; what is said is checked."""
    one = scenes(1, folder)[0]
    said = [("user", "What is in this image?"), ("assistant", answer)]
    messages: Any = tuple({"role": role, "content": content} for role, content in said)
    attempt = Attempt(GenerationTask(one, product), Dialogue(messages), "f" * 64, "some-model")
    return scene_rows(one, [attempt], ProbeOptions(), folder)[0] | changes


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with the one image of DIOR that is spoken of."""
    images = tmp_path / "root" / "DIOR" / "JPEGImages-trainval"
    images.mkdir(parents=True)
    Image.new("RGB", (200, 200)).save(images / "scene.png")
    return tmp_path / "root"


def built(root: Path, config: str) -> Any:
    return load_dataset(
        "rs_gpt4v",
        config,
        split="train",
        data_dir=str(root),
        on_missing="skip",
        cache_dir=str(root / "cache"),
    )


def test_dialogues_become_rows_of_the_ordinary_builder(tmp_path: Path, root: Path) -> None:
    long = " ".join([RIGHT] * 4)
    file = write(
        tmp_path / "final.jsonl",
        candidate(tmp_path, RIGHT, source="dior", image="00001.jpg"),
        candidate(tmp_path, RIGHT, "reasoning", source="dior", image="00001.jpg"),
        candidate(tmp_path, long, "detail", source="dior", image="00001.jpg", reviews=[ANN]),
    )
    jpeg = root / "DIOR" / "JPEGImages-trainval" / "00001.jpg"
    Image.new("RGB", (200, 200)).save(jpeg)
    told = release([file], root)
    assert told.written == {"conversation_train.json": 2, "detail_train.json": 1}
    rows = built(root, "conversation")
    assert rows["id"] == [
        "rs_gpt4v_instruct/train/00000/conversation",
        "rs_gpt4v_instruct/train/00000/reasoning",
    ]
    assert rows[0]["messages"][1] == {"role": "assistant", "content": RIGHT}
    assert rows[0]["images"][0].size == (200, 200)
    assert built(root, "detail")[0]["references"] == [long]
    assert not (told.folder / "images").exists()


def test_items_are_llavas_and_say_where_they_are_from(tmp_path: Path, root: Path) -> None:
    reviews = [{"reviewer": "ann", "decision": "edit"}]
    row = candidate(tmp_path, RIGHT, reviews=reviews, generated=[{"role": "user", "content": "?"}])
    folder = release([write(tmp_path / "final.jsonl", row)], root).folder
    (item,) = json.loads((folder / "conversation_train.json").read_text())
    assert item["id"] == "00000/conversation"
    assert item["image"] == "images/scene.png"
    assert item["conversations"] == [
        {"from": "human", "value": "<image>\nWhat is in this image?"},
        {"from": "gpt", "value": RIGHT},
    ]
    told = item["provenance"]
    assert told["model"] == "some-model"
    assert told["prompt"].startswith("conversation-1-")
    assert told["request"] == "f" * 64
    assert told["reviews"] == reviews
    assert told["generated"] == row["generated"]
    assert told["checks"]["relations"] == {"pass": 1}


def test_unreviewed_failures_stay_behind_and_reviewed_ones_do_not(
    tmp_path: Path, root: Path
) -> None:
    rows = [
        candidate(tmp_path, WRONG, id="train/a/conversation"),
        candidate(tmp_path, WRONG, id="train/b/conversation", reviews=[{"reviewer": "ann"}]),
        candidate(tmp_path, RIGHT, id="train/c/conversation"),
        candidate(tmp_path, "It is calm here.", id="train/d/conversation"),
    ]
    told = release([write(tmp_path / "queue.jsonl", *rows, "no candidate")], root)
    items = json.loads((told.folder / "conversation_train.json").read_text())
    assert [item["id"] for item in items] == ["b/conversation", "c/conversation"]
    assert told.left_out == 2
    assert "line 5" in told.problems[0]


def test_own_images_come_along(tmp_path: Path, root: Path) -> None:
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (200, 200)).save(tmp_path / name / "tile 1.png")
    rows = [
        candidate(tmp_path, RIGHT, source="tiles", id=f"train/{name}", image=f"{name}/tile 1.png")
        for name in ("north", "south")
    ]
    release([write(tmp_path / "final.jsonl", *rows)], root)
    rows = built(root, "conversation").data.table["images"].to_pylist()
    paths = [Path(images[0]["path"]) for images in rows]
    assert [path.relative_to(root / "RS_GPT4V_Instruct").as_posix() for path in paths] == [
        "images/north/tile_1.png",
        "images/south/tile_1.png",
    ]


def test_generated_and_own_rows_train_together(tmp_path: Path, root: Path) -> None:
    pytest.importorskip("trl")
    from rs_gpt4v_training.arguments import DataArguments
    from rs_gpt4v_training.recipe import RecipeError
    from rs_gpt4v_training.rows import load_rows

    Image.new("RGB", (200, 200)).save(tmp_path / "tile.png")
    row = candidate(tmp_path, RIGHT, source="tiles", id="train/tile", image="tile.png")
    folder = release([write(tmp_path / "final.jsonl", row)], root).folder
    own = tmp_path / "own"
    own.mkdir()
    Image.new("RGB", (200, 100)).save(own / "1.png")
    said = [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "{<10><20><30><40>}"}]
    (own / "train.json").write_text(json.dumps([{"image": "1.png", "conversations": said}] * 2))
    places = {
        # There are no generated dialogues for a test split.
        "generated": {"config": "conversation", "data_dir": str(root), "on_missing": "skip"},
        "again": {"config": "folder", "data_dir": str(folder)},  # as a folder of one's own
        "own": {"config": "folder", "data_dir": str(own), "layout": "llava"},
    }
    data = DataArguments(
        list(places), own_datasets=places, mixture={"own": 0.5}, box_format="llava"
    )
    rows = load_rows(data, "train", seed=0)
    assert rows["id"] == [
        "rs_gpt4v_instruct/train/tile",
        "folder/train/tile",
        *(i for i in ("folder/train/000000", "folder/train/000001") if i in rows["id"]),
    ]
    assert rows[0]["messages"] == rows[1]["messages"]
    assert rows[2]["messages"][1]["content"] == "[0.100, 0.200, 0.300, 0.400]"
    assert rows[2]["boxes"][0]["points"] == [20, 20, 60, 40]
    with pytest.raises(RecipeError, match="own_datasets: 'own' is not in datasets"):
        DataArguments(["cap_ucm"], own_datasets={"own": places["own"]})
    with pytest.raises(RecipeError, match="own_datasets: own: expected a config and its options"):
        DataArguments(["own"], own_datasets={"own": {"data_dir": str(own)}})


def test_a_fetched_release_is_never_overwritten(tmp_path: Path, root: Path) -> None:
    file = write(tmp_path / "final.jsonl", candidate(tmp_path, RIGHT))
    release([file], root)
    release([file], root)  # its own: written again
    theirs = root / "RS_GPT4V_Instruct" / "conversation_train.json"
    theirs.write_text('[{"id": "1", "image": "00001.jpg", "conversations": []}]')
    with pytest.raises(ReleaseError, match="was not written from generated dialogues"):
        release([file], root)
    assert "provenance" not in theirs.read_text()


def test_dialogues_that_cannot_be_released_together(tmp_path: Path, root: Path) -> None:
    file = write(tmp_path / "a.jsonl", candidate(tmp_path, RIGHT))
    other = write(tmp_path / "b.jsonl", candidate(tmp_path, RIGHT))
    with pytest.raises(ReleaseError, match=r"b.jsonl: id 'train/00000/conversation' is in an"):
        release([file, other], root)
    with pytest.raises(ReleaseError, match=r"no 'split'"):
        release([write(file, candidate(tmp_path, RIGHT, split=None))], root)


def test_images_of_the_sample_are_not_those_of_dior(tmp_path: Path, root: Path) -> None:
    """Both are called 00001.jpg."""
    generated = Path(HF_DATASETS_CACHE) / "rs_gpt4v_sample/some/DIOR/JPEGImages-trainval"
    generated.mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(generated / "00001.jpg")
    Image.new("RGB", (800, 800)).save(root / "DIOR/JPEGImages-trainval/00001.jpg")
    row = candidate(tmp_path, RIGHT, source="dior", image=str(generated / "00001.jpg"))
    release([write(tmp_path / "final.jsonl", row)], root)
    assert built(root, "conversation")[0]["images"][0].size == (40, 30)


def outside(tmp_path: Path, how: str) -> tuple[Path, str]:
    """A file that is not with the queue, and how a candidate names it."""
    secret = tmp_path / "home/secret.png"
    secret.parent.mkdir()
    Image.new("RGB", (9, 9)).save(secret)
    queue = tmp_path / "queue"
    queue.mkdir()
    (queue / "link.png").symlink_to(secret)
    (queue / "folder").symlink_to(secret.parent)
    names = {"absolute": str(secret), "up": "../home/secret.png", "link": "link.png"}
    return queue, {
        **names,
        "linked folder": "folder/secret.png",
        "up again": "a/../../home/secret.png",
    }[how]


@pytest.mark.parametrize("how", ["absolute", "up", "link", "linked folder", "up again"])
def test_images_from_elsewhere_are_left_out(how: str, tmp_path: Path, root: Path) -> None:
    queue, name = outside(tmp_path, how)
    rows = [
        candidate(queue, RIGHT, id="train/a"),
        candidate(queue, RIGHT, id="train/b", image=name),
    ]
    told = release([write(queue / "final.jsonl", *rows)], root)
    assert [path.name for path in (told.folder / "images").rglob("*.png")] == ["scene.png"]
    assert told.written == {"conversation_train.json": 1}
    (problem,) = told.problems
    assert problem.startswith("id 'train/b': ")
    assert "is not in" in problem
    assert "--images-from" in problem
    told = release([queue / "final.jsonl"], root, images_from=[tmp_path / "home"])
    assert told.written == {"conversation_train.json": 2}


def test_what_is_no_image_is_never_copied(tmp_path: Path, root: Path) -> None:
    (tmp_path / "id_rsa").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    file = write(tmp_path / "c.jsonl", candidate(tmp_path, RIGHT, image="id_rsa", source="own"))
    with pytest.raises(ReleaseError, match=r"no dialogue has an image.*id_rsa is no image"):
        release([file], root)
    assert not list(root.rglob("id_rsa"))
    file = write(tmp_path / "c.jsonl", candidate(tmp_path, RIGHT, image="gone.png", source="own"))
    with pytest.raises(ReleaseError, match=r"gone\.png is missing"):
        release([file], root)
