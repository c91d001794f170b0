"""No verb writes over what it reads, and no two runs write one file."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from review_queue import candidate, draw
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v.files import InUseError, OverwriteError


def run(*arguments: str | Path) -> None:
    CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


VERBS = [
    "report in.jsonl --out in.jsonl",
    "report in.jsonl --out r.html --model-card in.jsonl",
    "report p.jsonl --out in.jsonl --training-log in.jsonl",
    "report in.jsonl --out r.html --model-card R.html",
    "judge in.jsonl --judge-model m --out in.jsonl",
    "judge p.jsonl --against in.jsonl --judge-model m --out in.jsonl",
    "judge p.jsonl --prices in.jsonl --judge-model m --out in.jsonl",
    "judge out.jsonl.journal --judge-model m --out out.jsonl",
    "import in.jsonl --config vqa_lr --out in.jsonl",
    "import p.jsonl --questions in.jsonl --config vqa_lr --out in.jsonl",
    "predict in.jsonl vqa_lr --sample --out in.jsonl",
    "predict tiny vqa_lr --data-dir data --out data/UCM_captions/dataset.json",
    "principles --candidates in.jsonl --out in.jsonl",
    "principles --candidates q.jsonl --reviews in.jsonl --out in.jsonl",
    "review in.jsonl --reviewer ann --out in.jsonl",
    "reconcile in.jsonl ann.jsonl --out in.jsonl",
    "reconcile q.jsonl out.conflicts.jsonl --out out.jsonl",
    "generate m --boxes candidates.jsonl --out .",
    "generate m --boxes q.jsonl --read-batch failed.jsonl --out .",
    "audit --data-dir data --out data/UCM_captions/dataset.json",
    "stats --data-dir data --plot data/UCM_captions/imgs/1.png",
]


@pytest.mark.parametrize("verb", VERBS)
def test_an_input_is_as_it_was(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RS_GPT4V_DATA", raising=False)
    names = ("in", "p", "q", "candidates", "failed", "out.conflicts")
    for name in (*(f"{name}.jsonl" for name in names), "out.jsonl.journal"):
        Path(name).write_text("{}")
    ucm = Path("data/UCM_captions")
    (ucm / "imgs").mkdir(parents=True)
    for name in ("dataset.json", "imgs/1.png"):
        (ucm / name).write_text("{}")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(OverwriteError, match="would overwrite"):
        run(*verb.split())
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_page_beside_the_releases_is_written_again(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "UCM_captions").symlink_to(releases / "UCM_captions")
    monkeypatch.chdir(root)
    for _ in range(2):
        run("audit", "cap_ucm", "--data-dir", ".", "--out", "audit.html")
    assert Path("audit.html").is_file()


def test_release_takes_no_list_for_dialogues(tmp_path: Path) -> None:
    from rs_gpt4v_generation.release import release

    folder = tmp_path / "RS_GPT4V_Instruct"
    folder.mkdir()
    file = folder / "conversation_train.json"
    draw(folder / "scene.png")
    file.write_text(json.dumps(candidate(0, product="conversation", split="train", reviews=[{}])))
    before = file.read_bytes()
    with pytest.raises(OverwriteError):
        release([file], tmp_path)
    assert file.read_bytes() == before


def test_training_keeps_the_checkpoint_it_starts_from(tiny_llava: Path) -> None:
    pytest.importorskip("trl")
    from rs_gpt4v_training import sft

    training: Any = SimpleNamespace(output_dir=f"{tiny_llava}/../{tiny_llava.name}")
    model: Any = SimpleNamespace(model_name_or_path=str(tiny_llava))
    with pytest.raises(OverwriteError):
        sft.train(training, training, model)


class TestTwoRuns:
    """Of one file: the second is refused, whoever holds it."""

    def test_local_predict(self, tmp_path: Path) -> None:
        pytest.importorskip("transformers")
        from rs_gpt4v_evaluation.predict import predict

        out = tmp_path / "o.jsonl"
        with FileLock(f"{out}.lock"), pytest.raises(InUseError, match=r"is writing .*o\.jsonl"):
            predict(None, None, None, out)  # pyright: ignore[reportArgumentType]

    def test_predict_by_server(self, tmp_path: Path) -> None:
        from rs_gpt4v import chat_api as chat
        from rs_gpt4v_evaluation.predict.server import predict_by_server

        out = tmp_path / "o.jsonl"
        endpoint = chat.Endpoint(base_url="http://127.0.0.1:9/v1", model="m")
        with FileLock(f"{out}.lock"), pytest.raises(InUseError):
            predict_by_server(endpoint, None, None, out)  # pyright: ignore[reportArgumentType]
