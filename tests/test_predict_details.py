"""Keys and choices of predict: each part of them matters."""

# pyright: reportPrivateUsage=false

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest

pytest.importorskip("transformers")

import torch

from rs_gpt4v.chat_api import Endpoint
from rs_gpt4v_evaluation.predict import server
from rs_gpt4v_evaluation.predict.predictions import longest_reply
from rs_gpt4v_evaluation.predict.predictor import weights_fingerprint
from rs_gpt4v_evaluation.predict.shared_prefix import NotSharedError, Prompt, SharedPrefix
from rs_gpt4v_evaluation.predict.turns import each_turn


def test_weights_of_another_layer_are_other_weights() -> None:
    one, other = (torch.nn.Linear(3, 3) for _ in range(2))
    names = [("q", "v"), ("v", "q"), ("k", "v"), ("q", "k")]
    models = [torch.nn.ModuleDict({a: one, b: other}) for a, b in names]
    assert len({weights_fingerprint(model) for model in models}) == 4


def prefix(window: int | None, longest: int) -> SharedPrefix:
    text = SimpleNamespace(sliding_window=window)
    model: Any = SimpleNamespace(modules=list, config=SimpleNamespace(get_text_config=lambda: text))
    return SharedPrefix(model, None, lambda _model, _tasks: None, longest)  # type: ignore[arg-type]


def test_a_reply_must_fit_the_sliding_window_too() -> None:
    prefix(100, 10)._check_window(90)
    prefix(None, 10)._check_window(10_000)
    with pytest.raises(NotSharedError, match="leaves its window of 100"):
        prefix(100, 10)._check_window(91)


def test_prefixes_are_told_apart_by_image_task_and_words(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = prefix(None, 4)
    read: list[tuple[str, str, str]] = []
    used: list[int] = []

    def noted(prompt: Prompt, text: str, _tail: Any) -> Any:
        read.append((prompt.image, prompt.task, text))
        return len(read)

    monkeypatch.setattr(shared, "_rendered", lambda messages: messages[0]["content"])
    monkeypatch.setattr(shared, "_cut", lambda text: (tuple(text), [1]))
    monkeypatch.setattr(shared, "_read", noted)
    asked = [(i, t, w) for i in "ab" for t in ("vqa", "caption") for w in ("Be brief.", "Be long.")]
    prompts = [
        Prompt(image, task, [{"role": "system", "content": words}], list)
        for image, task, words in [*asked, *asked]
    ]
    monkeypatch.setattr(shared, "_continued", lambda prefixes, _tails: used.extend(prefixes))
    with pytest.raises(TypeError):  # there is no model to go on
        shared.generate(prompts)
    assert read == asked
    assert used == [*range(1, 9), *range(1, 9)]


def dialogue(turns: int) -> list[dict[str, str]]:
    sides = (("user", "Where?"), ("assistant", "Here."))
    return [{"role": role, "content": f"{text} {n}"} for n in range(turns) for role, text in sides]


@pytest.mark.parametrize("turns", [(2, 1), (1, 3), (1, 2, 1)])
def test_dialogues_among_single_questions_become_a_row_a_question(turns: tuple[int, ...]) -> None:
    rows = datasets.Dataset.from_dict(
        {
            "id": [f"row/{n}" for n in range(len(turns))],
            "messages": [dialogue(count) for count in turns],
            "references": [["other words"]] * len(turns),
        }
    )
    expected = [
        f"row/{n}" if count == 1 else f"row/{n}#{k}"
        for n, count in enumerate(turns)
        for k in range(1, count + 1)
    ]
    assert each_turn(rows)["id"] == expected


@pytest.mark.parametrize(
    ("tasks", "tokens"),
    [
        (["conversation"], 512),
        (["detail"], 512),
        (["vqa", "detail"], 512),
        (["caption"], 64),
        (["detection"], 2048),
    ],
)
def test_descriptions_and_dialogues_may_be_long(
    tmp_path: Path, tasks: list[str], tokens: int
) -> None:
    assert longest_reply(tmp_path / "none.jsonl", tasks) == tokens


def test_questions_on_one_image_follow_each_other_to_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ["b", "a", "b", "c", "a", "b"]
    images = [{"bytes": f"image {name}".encode(), "path": f"{name}.png"} for name in place]
    count = len(place)
    rows = datasets.Dataset.from_dict(
        {
            "id": [f"{name}{n}" for n, name in enumerate(place)],
            "images": [[image] for image in images],
            "messages": [dialogue(1)] * count,
            "references": [["Here."]] * count,
        }
    )
    keys: list[str] = []

    @contextmanager
    def complete(requests: Any, *_: Any, **__: Any) -> Iterator[Any]:
        keys.extend(key for key, _ in requests)
        raise InterruptedError
        yield

    monkeypatch.setattr(server.chat, "complete", complete)
    monkeypatch.setattr(server.chat, "image_part", lambda _: {})
    about: Any = {}
    endpoint = Endpoint(model="m", base_url="http://localhost:1/v1")
    with pytest.raises(InterruptedError):
        server.predict_by_server(endpoint, rows, about, tmp_path / "out.jsonl")
    assert keys == ["b0", "b2", "b5", "a1", "a4", "c3"]
