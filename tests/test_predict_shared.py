"""Questions on one image: the image is read once, and the replies are those of each row alone."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import pytest

pytest.importorskip("trl")

import tiny_families
import torch
from PIL import Image
from transformers.utils import is_torchvision_available

from rs_gpt4v import NAME
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict import blind as images
from rs_gpt4v_evaluation.predict import predictor as module
from rs_gpt4v_evaluation.predict.batches import image_keys, own_share, plan
from rs_gpt4v_evaluation.predict.blind import blind_rows
from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_evaluation.predict.turns import each_turn
from rs_gpt4v_training.moe_lora import MoeLoraConfig, use_task

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

VIDEO = {"smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl"}  # need torchvision
SIZES = [(60, 90), (120, 60), (224, 224), (56, 112), (90, 90)]
QUESTIONS = [
    "Is there a road?",
    "How many?",
    "Look at the aerial image and answer in one word: is it a rural or an urban area?",
]
LONGEST = 9


@pytest.fixture(scope="module", params=["llava", "llava_next", "idefics3", *sorted(VIDEO)])
def family(request: pytest.FixtureRequest) -> str:
    if request.param in VIDEO and not is_torchvision_available():
        pytest.skip(f"the processor of {request.param} needs torchvision")
    return request.param


@pytest.fixture(scope="module")
def checkpoint(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("family") / family
    tiny_families.build(family, path)
    return path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    """Five images of all sizes with three questions each, mixed; then one with a single one."""
    folder = tmp_path_factory.mktemp("images")
    generator = torch.Generator().manual_seed(0)
    for i, (width, height) in enumerate([*SIZES, (80, 60)]):
        pixels = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / f"{i}.png")
    asked = [(i, question) for question in QUESTIONS for i in range(len(SIZES))]
    asked.append((len(SIZES), QUESTIONS[0]))
    columns = {
        "id": [f"row/{n}" for n in range(len(asked))],
        "images": [[str(folder / f"{i}.png")] for i, _ in asked],
        "messages": [
            [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]
            for _, text in asked
        ],
        "source": ["made"] * len(asked),
        "task": ["vqa" if i % 2 else "caption" for i, _ in asked],
        "question_type": [None] * len(asked),
        "references": [["yes"]] * len(asked),
        "boxes": [[] for _ in asked],
        "width": [64] * len(asked),
        "height": [64] * len(asked),
    }
    made = datasets.Dataset.from_dict(columns)
    return made.cast_column("images", datasets.List(datasets.Image()))


def replies(
    predictor: Predictor, rows: datasets.Dataset, out: Path, size: int, *, share: bool
) -> list[str]:
    about = {"config": "made", "split": "test", "protocol": "paper", "box_format": "llava"}
    predict(predictor, rows, describe(rows, **about), out, size, share_images=share)
    written = read_predictions(out)
    assert [line["id"] for line in written] == rows["id"]
    return [line["prediction"] for line in written]


def stopping(predictor: Predictor, rows: datasets.Dataset, tmp_path: Path) -> list[str]:
    """Let ``predictor`` end its replies at different lengths; the replies, one row at a time.

    A random model hardly ever says its stop token, so tokens that it does say become that.
    """
    config = predictor.model.generation_config
    stop = config.eos_token_id
    stops = [stop] if isinstance(stop, int) else list(stop)
    config.eos_token_id = [*stops, *range(ord("0"), ord("0") + 60)]
    return replies(predictor, rows, tmp_path / "alone.jsonl", 1, share=False)


def test_same_replies_as_each_row_alone(
    checkpoint: Path, rows: datasets.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = Predictor(str(checkpoint), max_new_tokens=LONGEST)
    alone = stopping(predictor, rows, tmp_path)
    assert len(set(alone)) > 3
    assert len({len(reply) for reply in alone}) > 2
    for size in (1, 4, 16):
        assert replies(predictor, rows, tmp_path / f"{size}.jsonl", size, share=True) == alone
    assert "anew" not in capsys.readouterr().out


def test_without_images_replies_are_the_same_in_any_batch(
    checkpoint: Path, rows: datasets.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(str(checkpoint), max_new_tokens=LONGEST)
    blind = blind_rows(rows.select(range(0, len(rows), 3)), "none")
    monkeypatch.setattr(images, "open_image", lambda *_: pytest.fail("an image is read"))
    alone = replies(predictor, blind, tmp_path / "1.jsonl", 1, share=True)
    assert len(set(alone)) > 1
    assert replies(predictor, blind, tmp_path / "4.jsonl", 4, share=True) == alone
    prompt = predictor.inputs([{**blind[0], "images": []}])["input_ids"]
    assert predictor.processor.image_token_id not in prompt


def test_a_model_that_needs_an_image_refuses_before_it_answers(
    rows: datasets.Dataset, tmp_path: Path
) -> None:
    tiny_families.build("paligemma", tmp_path / "paligemma")
    predictor = Predictor(str(tmp_path / "paligemma"), max_new_tokens=2)
    out = tmp_path / "p.jsonl"
    with pytest.raises(ValueError, match=r"row/0 has no image, and a paligemma .* --blind grey"):
        replies(predictor, blind_rows(rows, "none"), out, 4, share=True)
    assert not out.exists()
    assert replies(predictor, blind_rows(rows, "grey"), out, 8, share=True)


def test_each_image_is_read_once(
    checkpoint: Path, rows: datasets.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(str(checkpoint), max_new_tokens=2)
    monkeypatch.setattr(predictor, "why_not_shared", lambda *_: None)
    seen = []
    process = predictor.processor.image_processor
    monkeypatch.setattr(
        type(process), "__call__", counted(type(process).__call__, seen), raising=True
    )
    replies(predictor, rows, tmp_path / "p.jsonl", 4, share=True)
    assert len(seen) == len(SIZES) + 1


def counted(method: Callable[..., Any], seen: list[Any]) -> Callable[..., Any]:
    def call(self: Any, images: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(images)
        return method(self, images, *args, **kwargs)

    return call


def test_turns_of_a_dialogue_share_their_image(
    checkpoint: Path, releases: Path, tmp_path: Path
) -> None:
    dialogues = datasets.load_dataset(NAME, "conversation", split="test", data_dir=str(releases))
    turns = each_turn(dialogues)
    predictor = Predictor(str(checkpoint), max_new_tokens=5)
    alone = replies(predictor, turns, tmp_path / "alone.jsonl", 1, share=False)
    assert replies(predictor, turns, tmp_path / "shared.jsonl", 6, share=True) == alone


def test_family_that_reads_both_ways_reads_each_image_anew(
    rows: datasets.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_families.build("paligemma", tmp_path / "paligemma")
    predictor = Predictor(str(tmp_path / "paligemma"), max_new_tokens=4)
    alone = replies(predictor, rows, tmp_path / "alone.jsonl", 1, share=False)
    assert "anew" not in capsys.readouterr().out
    assert replies(predictor, rows, tmp_path / "p.jsonl", 4, share=True) == alone
    said = "Each question reads its image anew: a paligemma model reads its prompts in both"
    assert capsys.readouterr().out.count(said) == 1


@pytest.fixture
def llava(tiny_llava: Path) -> Predictor:
    return Predictor(str(tiny_llava), max_new_tokens=5)


def test_model_whose_image_depends_on_the_question_is_found_out(
    llava: Predictor, rows: datasets.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embed = llava.model.get_input_embeddings()

    def look_ahead(_module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        return output + 0.1 * (args[0].shape[1] > 1) * output.mean(1, keepdim=True)

    embed.register_forward_hook(look_ahead)
    alone = replies(llava, rows, tmp_path / "alone.jsonl", 1, share=False)
    assert replies(llava, rows, tmp_path / "p.jsonl", 1, share=True) == alone
    assert "anew: a llava model's logits would change by" in capsys.readouterr().out


def test_processor_that_changes_the_question_is_found_out(
    rows: datasets.Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny_families.build("paligemma", tmp_path / "paligemma")
    monkeypatch.setattr(module, "READS_BOTH_WAYS", set())
    predictor = Predictor(str(tmp_path / "paligemma"), max_new_tokens=2)
    replies(predictor, rows, tmp_path / "p.jsonl", 4, share=True)
    said = "of a paligemma model, its processor changes the words behind the image"
    assert said in capsys.readouterr().out


def test_prompts_that_leave_a_sliding_window_are_answered_apart(
    rows: datasets.Dataset, tmp_path: Path
) -> None:
    tiny_families.build("llava_next", tmp_path / "llava_next")
    predictor = Predictor(str(tmp_path / "llava_next"), max_new_tokens=LONGEST)
    predictor.model.config.text_config.sliding_window = 110
    alone = replies(predictor, rows, tmp_path / "alone.jsonl", 1, share=False)
    assert replies(predictor, rows, tmp_path / "p.jsonl", 4, share=True) == alone


def adapted(llava: Predictor, config: MoeLoraConfig) -> Predictor:
    from peft import get_peft_model

    torch.manual_seed(1)
    config.target_modules = r".*language_model.*\.(q_proj|v_proj|down_proj)"
    llava.model = get_peft_model(llava.model, config).eval()
    with torch.no_grad():
        for name, weight in llava.model.named_parameters():
            if "lora" in name:
                # Tasks whose gates are nearly alike would answer alike from each other's prefixes.
                weight.normal_(std=5 if "router" in name else 0.3)
    llava.shared.model = llava.model
    return llava


@pytest.mark.parametrize("routing", ["token", "top_k", "task"])
def test_routed_adapters_answer_the_same(
    llava: Predictor, rows: datasets.Dataset, tmp_path: Path, routing: Any
) -> None:
    tasks = ["vqa", "caption"] * (len(rows) // 2)  # two of each image's questions differ in it
    rows = rows.remove_columns("task").add_column("task", tasks)
    before = replies(llava, rows, tmp_path / "base.jsonl", 1, share=False)
    config = MoeLoraConfig(r=4, num_experts=2, top_k=1, routing=routing, tasks=["vqa", "caption"])
    predictor = adapted(llava, config)
    predictor.route = predictor.shared.route = use_task
    alone = replies(predictor, rows, tmp_path / "alone.jsonl", 1, share=False)
    assert alone != before
    assert replies(predictor, rows, tmp_path / "shared.jsonl", 5, share=True) == alone


def test_a_prefix_that_another_task_read_is_not_gone_on_from(
    llava: Predictor, rows: datasets.Dataset, tmp_path: Path
) -> None:
    tasks = ["vqa", "caption"]
    config = MoeLoraConfig(r=4, num_experts=2, routing="task", tasks=tasks)
    predictor = adapted(llava, config)
    predictor.route = predictor.shared.route = use_task
    one = rows.select([0, 0, 0, 0]).remove_columns(["task", "id"])
    same = one.add_column("task", tasks * 2).add_column("id", [f"row/{i}" for i in range(4)])
    alone = replies(predictor, same, tmp_path / "alone.jsonl", 1, share=False)
    assert alone[0] != alone[1]
    for size in (1, 2, 4):
        assert replies(predictor, same, tmp_path / f"{size}.jsonl", size, share=True) == alone


def test_plan_keeps_questions_on_an_image_together() -> None:
    keys = ["a", "b", "a", "", "c", "b", "a", ""]
    assert plan(keys, 2, share=True) == [
        ([0, 2], True),
        ([6, 1], True),
        ([5], True),
        ([3, 4], False),
        ([7], False),
    ]
    in_order = [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert plan(keys, 3, share=False) == [(places, False) for places in in_order]


def test_each_batch_is_in_one_share() -> None:
    batches: Any = list(range(7))
    for processes in (1, 2, 3, 10):
        shares = [own_share(batches, i, processes) for i in range(processes)]
        assert list(chain(*shares)) == batches
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def embedded(path: Path) -> dict[str, Any]:
    return {"path": "same.png", "bytes": path.read_bytes()}


def test_images_in_the_file_are_told_apart_by_their_bytes(rows: datasets.Dataset) -> None:
    paths = [row["images"][0].filename for row in rows]
    inside = datasets.Dataset.from_dict({"images": [[embedded(Path(path))] for path in paths]})
    inside = inside.cast_column("images", datasets.List(datasets.Image()))
    keys = image_keys(inside)
    assert len(set(keys)) == len(SIZES) + 1
    assert [keys.index(key) for key in keys] == [paths.index(path) for path in paths]


def test_dialogues_become_one_row_a_question(releases: Path) -> None:
    rows = datasets.load_dataset(NAME, "conversation", split="test", data_dir=str(releases))
    turns = each_turn(rows)
    assert turns.features == rows.features
    first = rows[0]["messages"]
    assert len(first) > 2
    assert turns[0]["id"] == f"{rows[0]['id']}#1"
    assert turns[1]["id"] == f"{rows[0]['id']}#2"
    assert turns[1]["messages"] == first[:4]
    assert [turns[i]["references"] for i in (0, 1)] == [
        [first[1]["content"]],
        [first[3]["content"]],
    ]
    questions = sum(len(messages) // 2 for messages in rows["messages"])
    assert len(turns) == len(set(turns["id"])) == questions
    single = datasets.load_dataset(NAME, "detail", split="test", data_dir=str(releases))
    assert each_turn(single) is single
