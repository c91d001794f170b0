"""The embedded model: loads as any checkpoint does, sees the sample's scenes, and answers."""

import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

pytest.importorskip("transformers")

import torch
from PIL import Image
from safetensors import safe_open
from transformers import AutoModelForImageTextToText

from rs_gpt4v import NAME as DATASET
from rs_gpt4v.embedded_model import FOLDER, NAME, checkpoint
from rs_gpt4v_builders.sample import files, write_sample
from rs_gpt4v_builders.sample.files import number
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.predictions import read_predictions

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # PEFT
EXAMPLE = Path(__file__).parents[1] / "training" / "examples" / "embedded_model"
# Sides of the sample's images; none of these scenes is in what the model was made from.
SCENES = [(kind, side) for kind in ("harbor", "airport", "landscape") for side in (256, 512)]


@pytest.fixture(scope="module")
def example() -> Iterator[dict[str, Any]]:
    """The modules that made the model."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        import make
        import network
        import questions
        import scenes

        yield {"make": make, "network": network, "questions": questions, "scenes": scenes}
    finally:
        sys.path.remove(str(EXAMPLE))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(NAME, max_new_tokens=32)


@pytest.fixture(scope="module")
def drawn(example: dict[str, Any]) -> list[tuple[Image.Image, dict[str, Any]]]:
    """New scenes with their facts."""
    from rs_gpt4v_builders.sample.draw import draw
    from rs_gpt4v_builders.sample.layouts import lay_out

    found = []
    for seed, (kind, side) in enumerate(SCENES, 100):
        scene = lay_out(kind, seed, side, 512 * 0.1524 / side)
        found.append((draw(scene, seed), example["scenes"]._facts(scene)))
    return found


def row(image: Image.Image, question: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": ""}]
    return {"images": [image], "messages": messages, "task": "vqa"}


def test_is_small_and_whole() -> None:
    with safe_open(FOLDER / "model.safetensors", "np") as weights:
        count = sum(weights.get_tensor(name).size for name in weights.keys())  # noqa: SIM118
    assert count < 4_000_000
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 8_000_000


def test_no_scene_of_the_sample_was_learned_from(
    example: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each release the first 2,000 scenes, kept or not: more than the sample has in all."""
    names: set[tuple[str | int, ...]] = set()

    def noted(*name: str | int) -> int:
        names.add(name)
        return number(*name)

    monkeypatch.setattr(files, "number", noted)
    monkeypatch.setattr(files, "draw", lambda *_: Image.new("RGB", (1, 1)))
    write_sample(tmp_path, scale=0.01)
    releases = {name[0] for name in names}
    assert {"lr", "hr", "ucm", "dior"} <= releases
    sampled = {number(release, 0, index) for release in releases for index in range(2_000)}
    scenes = re.search(r"--scenes (\d+)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert scenes is not None
    count = int(scenes[1]) + example["make"]._HELD_OUT
    assert sampled.isdisjoint(map(example["scenes"].scene_seed, range(count)))


def test_other_models_keep_their_names() -> None:
    assert checkpoint("org/embedded") == "org/embedded"
    assert checkpoint(NAME) == str(FOLDER)


def test_sees_what_is_there(predictor: Predictor, drawn: list[Any]) -> None:
    """Numbers of things that vary from none to many; a guess is right for a third of them."""
    asked = [
        (row(image, f"count {name}s"), str(facts["counts"][name]))
        for image, facts in drawn
        for name in ("ship", "airplane", "storage tank", "commercial building", "road")
    ]
    replies = predictor.replies([conversation for conversation, _ in asked])
    right = sum(reply == truth for reply, (_, truth) in zip(replies, asked, strict=True))
    assert right >= 0.9 * len(asked)
    grey = Image.new("RGB", (256, 256), (128, 128, 128))
    blind = predictor.replies([{**conversation, "images": [grey]} for conversation, _ in asked])
    unseen = sum(reply == truth for reply, (_, truth) in zip(blind, asked, strict=True))
    assert unseen < 0.6 * len(asked)


@pytest.fixture(scope="module")
def questions(releases: Path) -> datasets.Dataset:
    rows = datasets.load_dataset(DATASET, "vqa_lr", split="test", data_dir=str(releases))
    return rows.select(range(0, len(rows), 2))


def test_fine_tuned_it_answers_better_than_without_seeing(
    tuned: Path, questions: datasets.Dataset
) -> None:
    """Twenty steps teach the form of the answers; what they say comes from the image."""
    adapted = Predictor(NAME, str(tuned), max_new_tokens=8)
    grey = Image.new("RGB", (256, 256), (128, 128, 128))
    unseen = [{**conversation, "images": [grey]} for conversation in questions]
    own, blind = share_right(adapted, [*questions]), share_right(adapted, unseen)
    answers = Counter((row["question_type"], row["references"][0]) for row in questions)
    frequent = {kind: number for (kind, _), number in reversed(answers.most_common())}
    guess = sum(frequent.values()) / len(questions)
    assert own > guess + 0.1
    assert own > blind + 0.4
    assert share_right(Predictor(NAME, max_new_tokens=2), [*questions]) < 0.1


def share_right(predictor: Predictor, rows: list[Any]) -> float:
    replies = predictor.replies(rows)
    return sum(r in row["references"] for r, row in zip(replies, rows, strict=True)) / len(rows)


@pytest.mark.parametrize("adapted", [False, True])
def test_real_replies_do_not_depend_on_batch_or_shared_image(
    adapted: bool, tuned: Path, questions: datasets.Dataset, tmp_path: Path
) -> None:
    predictor = Predictor(NAME, str(tuned) if adapted else None, max_new_tokens=24)
    rows = questions.select(range(0, len(questions), 3))
    about = describe(rows, config="vqa_lr", split="test", protocol="paper", box_format="llava")
    files = [tmp_path / name for name in ("alone", "batch", "shared_alone", "shared")]
    for file in files:
        size, shared = (1 if "alone" in file.name else 16), "shared" in file.name
        predict(predictor, rows, about, file, size, share_images=shared)
    replies = {line["prediction"] for line in read_predictions(files[0])}
    assert len(replies) > 4
    assert len({file.read_bytes() for file in files}) == 1


def test_merged_adapter_answers_the_same(tuned: Path, questions: datasets.Dataset) -> None:
    predictor = Predictor(NAME, str(tuned), max_new_tokens=8)
    rows = [questions[i] for i in range(0, len(questions), 3)]
    apart = predictor.replies(rows)
    adapted = [name for name, _ in predictor.model.named_modules() if name.endswith("lora_A")]
    assert adapted
    assert all("language_model" in name for name in adapted)
    predictor.model = predictor.model.merge_and_unload()
    assert not any("lora" in name for name, _ in predictor.model.named_parameters())
    assert predictor.replies(rows) == apart


def test_an_adapter_that_peft_alone_saved_has_the_processor_of_its_base(
    predictor: Predictor, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=r".*language_model.*q_proj")
    base = AutoModelForImageTextToText.from_pretrained(FOLDER)
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    asked = [row(Image.new("RGB", (64, 64), "green"), "count ships")]
    adapted = Predictor(NAME, str(tmp_path), max_new_tokens=4)
    assert adapted.replies(asked) == predictor.replies(asked)  # an untrained adapter adds nothing


def test_answers_as_it_was_taught(
    example: dict[str, Any], predictor: Predictor, drawn: list[Any]
) -> None:
    """Many questions packed behind one image get the logits that each gets in a chat of its own."""
    image, facts = drawn[0]
    rng = random.Random(0)
    asked = [example["questions"].ask(facts, rng) for _ in range(4)]
    make = example["make"]
    packer = make.Packer(predictor.processor.tokenizer)
    batch = packer.pack([asked], None)
    side = example["scenes"].IMAGE_SIZE
    resized = image.resize((side, side), Image.Resampling.BICUBIC)
    pixels = example["network"].pixel_values(torch.from_numpy(np.array(resized))[None])
    trainer = make.Trainer.__new__(make.Trainer)
    trainer.model, trainer.packer = predictor.model, packer
    with torch.inference_mode():
        states = predictor.model.model.vision_tower(
            pixels, output_hidden_states=True, return_dict=True
        ).hidden_states
        logits, labels, _ = trainer._answer(states[-1][:, 1:], batch)
    place = 0
    for question, answer in asked:
        messages = [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]
        text = predictor.processor.apply_chat_template([messages], tokenize=False)
        inputs = predictor.processor(text=text, images=[image], return_tensors="pt")
        with torch.inference_mode():
            own = predictor.model(**inputs).logits[0]
        length = len(predictor.processor.tokenizer(f" {answer}")["input_ids"]) + 1
        assert labels[place : place + length].tolist() == inputs["input_ids"][0, -length:].tolist()
        packed = logits[place : place + length]
        assert torch.allclose(own[-length - 1 : -1], packed, atol=2e-3)
        place += length


def test_making_it_continues_where_it_was_interrupted(
    example: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, scenes = example["make"], example["scenes"]
    monkeypatch.setattr(scenes, "_KINDS", ("farmland",))
    monkeypatch.setattr(scenes, "_SIZES", (160,))
    monkeypatch.setattr(make, "_HELD_OUT", 2)
    loaded = scenes.Scenes(scenes.shards(tmp_path / "scenes", 0, 8, 1))
    tokenizer = make.make_tokenizer(make._texts(loaded))
    options = {"scenes": 6, "steps": 4, "images": 2, "questions": 2, "save_every": 2, "seed": 0}

    def trainer(name: str) -> Any:
        given = make.argparse.Namespace(
            out=tmp_path / name, learning_rate=1e-3, device="cpu", workers=0, **options
        )
        given.out.mkdir(exist_ok=True)
        return make.Trainer(given, loaded, tokenizer)

    whole = trainer("whole")
    whole.run()
    killed = trainer("killed")
    learn = killed._learn
    monkeypatch.setattr(killed, "_learn", lambda batch: learn(batch) if killed.step < 3 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        killed.run()
    resumed = trainer("killed")
    assert resumed.step == 2
    resumed.run()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name]), name
