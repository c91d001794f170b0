"""`rs-gpt4v generate` from a user's side: sample, own boxes, dry run, batch, errors."""

import json
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, refused
from PIL import Image
from typer.testing import CliRunner, Result

from rs_gpt4v.cli import app

TURNS = [
    {"question": "How many ships can be seen?", "answer": "There is one ship."},
    {"question": "Is there an airplane?", "answer": "No, there is no airplane."},
]
DETAIL = {"instruction": "Describe it.", "local": ["A ship."], "description": "A ship lies there."}


def answering(body: dict[str, Any]) -> str:
    name = body["response_format"]["json_schema"]["name"]
    turns = [{"kind": "purpose", **turn} if name == "reasoning" else turn for turn in TURNS]
    return json.dumps(DETAIL if name == "detail" else {"turns": turns})


def generate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["generate", "m", *map(str, arguments)])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two images with a ship each, one that is missing, and one without boxes."""
    (tmp_path / "tiles").mkdir()
    names = ["a.png", "b.png", "gone.png", "empty.png"]
    for name in (*names[:2], names[3]):
        Image.new("RGB", (300, 200)).save(tmp_path / "tiles" / name)
    content = {
        "images": [{"id": place, "file_name": name} for place, name in enumerate(names)],
        "categories": [{"id": 1, "name": "ship"}, {"id": 2, "name": "crane"}],
        "annotations": [
            {"image_id": place, "category_id": 1, "bbox": [10, 20, 60, 30]} for place in (0, 1, 2)
        ],
    }
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def test_sample_gives_the_papers_three_products(tmp_path: Path) -> None:
    named = [
        part for name in ("detail", "reasoning", "conversation") for part in ("--product", name)
    ]
    with ChatServer(answering) as server:
        where = ("--base-url", server.url, "--out", tmp_path)
        done = generate("--sample", "--limit", "2", *named, *where)
    assert done.exit_code == 0, done.output
    assert "2 images, 6 dialogues asked for: 6 came, 0 failed" in done.output
    products = [one["product"] for one in lines(tmp_path / "candidates.jsonl")]
    assert products == ["conversation", "reasoning", "detail"] * 2
    sizes = {(one["width"], one["height"]) for one in lines(tmp_path / "candidates.jsonl")}
    assert sizes == {(800, 800)}


def test_own_boxes_are_checked_in_their_own_classes(coco: Path, tmp_path: Path) -> None:
    own = ("--boxes", coco, "--images", coco.parent / "tiles", "--product", "conversation")
    with ChatServer(answering) as server:
        strict = generate(*own, "--base-url", server.url, "--out", tmp_path / "strict")
        out = tmp_path / "out"
        done = generate(*own, "--on-missing", "skip", "--base-url", server.url, "--out", out)
    assert strict.exit_code == 1
    assert "gone.png is missing" in str(strict.exception)
    assert done.exit_code == 0, done.output
    candidates = lines(out / "candidates.jsonl")
    assert [one["id"] for one in candidates] == ["train/a/conversation", "train/b/conversation"]
    # Airplanes are no class of these boxes, so nothing is known of them.
    checks = {(v["check"], v["result"]) for v in candidates[0]["verdicts"] if v["turn"] == 1}
    assert not {check for check, _ in checks} & {"absence", "presence"}
    left_out = {row["id"]: row["reason"] for row in lines(out / "dropped-boxes-train.jsonl")}
    assert left_out["boxes/train/empty"] == f"{coco}: images[3]: no boxes"
    assert "gone.png is missing" in left_out["boxes/train/gone"]


def test_dry_run_sends_nothing_and_names_the_price(tmp_path: Path) -> None:
    arguments = ("gpt-4o", "--sample", "--dry-run", "--out", str(tmp_path))
    done = CliRunner().invoke(app, ["generate", *arguments])
    assert done.exit_code == 0, done.output
    assert "180 requests" in done.output
    assert "$" in done.output
    assert not list(tmp_path.glob("*.jsonl"))


def test_batch_files_go_out_and_come_back(tmp_path: Path) -> None:
    with ChatServer(answering) as server:
        to = ("--base-url", server.url, "--out", tmp_path / "out")
        sample = ("--sample", "--limit", "2", "--product", "detail", *to)
        done = generate(*sample, "--write-batch", tmp_path / "batch")
        assert done.exit_code == 0, done.output
        (sent,) = (tmp_path / "batch").glob("*.jsonl")
        assert str(sent) in done.output
        response = {"status_code": 200, "body": _completion()}
        results = [{"custom_id": one["custom_id"], "response": response} for one in lines(sent)]
        back = tmp_path / "results.jsonl"
        back.write_text("".join(f"{json.dumps(one)}\n" for one in results))
        done = generate(*sample, "--read-batch", back)
    assert not server.bodies
    assert done.exit_code == 0, done.output
    assert "detail 2" in done.output
    assert "2 from the journal" in done.output


def _completion() -> dict[str, Any]:
    message = {"role": "assistant", "content": json.dumps(DETAIL)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return {"id": "c", "model": "m", "choices": [choice], "usage": usage}


def test_what_is_left_to_ask_ends_with_an_error_and_how_to_go_on(tmp_path: Path) -> None:
    done = generate(
        "--sample",
        *("--limit", "1", "--product", "detail", "--prices", _prices(tmp_path)),
        *("--max-cost", "0.000001", "--base-url", "http://127.0.0.1:9/v1", "--out", tmp_path),
    )
    assert done.exit_code == 1
    assert "0 came, 0 failed, 1 are pending" in done.output
    assert "cap" in done.output
    assert "Run the same command to continue" in done.output


def _prices(folder: Path) -> Path:
    path = folder / "prices.json"
    path.write_text(json.dumps({"m": {"input_usd": 1, "output_usd": 1}}))
    return path


def test_refusals_are_listed_with_their_reason(tmp_path: Path) -> None:
    with ChatServer(lambda _: refused("I will not.")) as server:
        sample = ("--sample", "--limit", "1", "--product", "detail")
        done = generate(*sample, "--base-url", server.url, "--out", tmp_path)
    assert "failed: refused 1" in done.output
    (failed,) = lines(tmp_path / "failed.jsonl")
    assert failed["id"] == "train/11548/detail"
    assert failed["reason"] == "the model refused: I will not."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sample", "--product", "poem"), "--product poem: expected one of conversation,"),
        (("--sample", "--split", "dev"), "DIOR has no split 'dev'; it has train, test"),
        (("--sample", "--protocol", "mine"), "protocol='mine': expected one of paper, release"),
        (("--boxes", "nowhere.json"), "nowhere.json is not there"),
        (("--data-dir", "{out}"), "DIOR is not at {out}"),
    ],
)
def test_mistakes_are_named(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    given = [one.replace("{out}", str(tmp_path)) for one in arguments]
    done = generate(*given, "--out", tmp_path)
    assert done.exit_code == 1
    assert said.replace("{out}", str(tmp_path)) in str(done.exception)
