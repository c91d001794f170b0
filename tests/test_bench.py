"""`rs-gpt4v bench`: one model on every test split, resumed, added to, blind, by many at once."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("transformers")


from chat_server import ChatServer, broken
from typer.testing import CliRunner

from rs_gpt4v.chat_api import ChatError
from rs_gpt4v.cli import app
from rs_gpt4v_builders import CONFIGS
from rs_gpt4v_builders.sources import sydney_captions
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_evaluation.bench import Bench, bench, table
from rs_gpt4v_evaluation.bench.jobs import reasons
from rs_gpt4v_evaluation.bench.settings import SettingsError
from rs_gpt4v_evaluation.board.make import board
from rs_gpt4v_evaluation.predict import Predictor
from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_evaluation.score.results import read_results

FEW = ("cap_ucm", "vqa_lr", "grounding", "detail")
OPTIONS: dict[str, Any] = {
    "limit": 3,
    "blind_images": 2,
    "max_new_tokens": 4,
    "batch_size": 4,
}


@pytest.fixture(scope="module")
def predictor(tiny_llava: Path) -> Predictor:
    return Predictor(str(tiny_llava))


@pytest.fixture(scope="module")
def whole(predictor: Predictor, releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed bench of `FEW` writes."""
    out = tmp_path_factory.mktemp("whole") / "bench"
    bench(predictor, out, FEW, data_dir=str(releases), **OPTIONS)
    return out


def content(out: Path) -> dict[str, Any]:
    """All that is in a bench's folder, but for how the results were made."""
    files = {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*.*")}
    results = json.loads(files.pop("results.json"))
    assert results.pop("run")["versions"]["transformers"]
    return {**files, "results.json": results}


def test_results_and_predictions_of_all_that_was_asked(whole: Path) -> None:
    assert sorted(content(whole)) == [
        "bench.json",
        *(f"blind-none/{name}.jsonl" for name in sorted(FEW) if name != "detail"),
        *(f"predictions/{name}.jsonl" for name in sorted(FEW)),
        "report.html",
        "results.json",
    ]
    results: Any = read_results(whole)
    entries = {entry["config"]: entry for entry in results["entries"]}
    assert [*entries] == [name for name in CONFIGS if name in FEW]
    for name, entry in entries.items():
        rows = read_predictions(whole / entry["predictions"])
        assert entry["n"] == entry["rows"] == len(rows)
        assert entry["images"] == len({row["image"] for row in rows}) == 3
        assert entry["limit"] == {"images": 3, "seed": 0, "rows": entry["limit"]["rows"]}
        assert entry["limit"]["rows"] > entry["rows"]
        if name != "detail":
            said = f"|limit:images:3,seed:0,of:{entry['limit']['rows']}"
            assert said in entry["signature"]
            assert "Not the whole split: 3 of its images, drawn by seed 0" in entry["notes"][0]
    blind = read_predictions(whole / "blind-none" / "vqa_lr.jsonl")
    seen = read_predictions(whole / "predictions" / "vqa_lr.jsonl")
    assert {row["id"] for row in blind} < {row["id"] for row in seen}
    run = entries["vqa_lr"]["blind"]["none"]
    assert (run["n"], run["images"]) == (len(blind), 2)
    assert entries["detail"]["scores"] == {}


def test_a_board_reads_it(whole: Path, tmp_path: Path) -> None:
    notes = board([f"tiny={whole}"], tmp_path, with_shipped=False)
    assert notes == ["tiny, detail: detail is not judged yet."]
    scores = json.loads((tmp_path / "board.json").read_text())["scores"]
    assert [own["config"] for own in scores] == ["cap_ucm", "grounding", "vqa_lr"]
    assert [[run["kind"] for run in own["blind"]] for own in scores] == [["none"]] * 3
    assert "drawn images" in scores[0]["coverage"]
    report = (tmp_path / "reports" / "tiny.html").read_bytes()
    assert report == (whole / "report.html").read_bytes()


@pytest.mark.parametrize("replies", [1, 30])
def test_interrupted_it_goes_on_to_the_same_bytes(
    predictor: Predictor, releases: Path, whole: Path, tmp_path: Path, replies: int
) -> None:
    out = tmp_path / "bench"

    class Stopping(_Counting):
        def update(self, n: int = 1) -> None:
            super().update(n)
            if self.n >= replies:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(predictor, out, releases, step=Stopping)
    assert not (out / "results.json").exists()
    run(predictor, out, releases)
    assert content(out) == content(whole)


def test_configs_are_added(
    predictor: Predictor, releases: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bench"
    for names in (FEW[2:], FEW[:3]):
        run(predictor, out, releases, *names)
    assert content(out) == content(whole)
    results: Any = read_results(out)
    asked = results["run"]["asked"]  # each as long as it took when it was asked
    assert set(asked) == {file.with_suffix("").as_posix() for file in _predictions(out)}


def run(predictor: Predictor, out: Path, releases: Path, *names: str, **options: Any) -> Bench:
    return bench(predictor, out, names or FEW, data_dir=str(releases), **(OPTIONS | options))


def _predictions(out: Path) -> list[Path]:
    return [file.relative_to(out) for file in out.rglob("*.jsonl")]


class _Counting:
    """A progress bar, named and ended as `bench` does with its steps."""

    def __init__(self, *_: object) -> None:
        self.n = 0

    def __enter__(self) -> "_Counting":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        self.n += n


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": 4}, "--limit 3, and this is 4"),
        ({"limit": None}, "--limit 3, and this is none"),
        ({"blind_images": 1}, "--blind-images 2, and this is 1"),
        ({"seed": 1}, "--seed 0, and this is 1"),
        ({"protocol": "release"}, "--protocol paper, and this is release"),
        ({"max_new_tokens": 5}, "--max-new-tokens 4, and this is 5"),
        ({"probes_per_image": 1}, "--probes-per-image none, and this is 1"),
        ({"box_format": "qwen_vl"}, "--box-format llava, and this is qwen_vl"),
    ],
)
def test_other_settings_are_refused(
    predictor: Predictor, releases: Path, whole: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=f"bench holds results with {said}: give another"):
        run(predictor, whole, releases, **options)


def test_another_model_is_refused(predictor: Predictor, releases: Path, whole: Path) -> None:
    other = predictor.with_longest_reply(4)
    other.weights = "changed"
    with pytest.raises(SettingsError, match=r"weights .*, and this is changed"):
        run(other, whole, releases)
    other.name = "embedded"
    with pytest.raises(SettingsError, match=r"model .*tiny, and this is embedded"):
        run(other, whole, releases)


def test_a_larger_limit_draws_the_same_images_and_more(
    predictor: Predictor, releases: Path, whole: Path, tmp_path: Path
) -> None:
    run(predictor, tmp_path, releases, "vqa_lr", limit=4, blind_images=0)
    three, four = (
        {row["id"] for row in read_predictions(out / "predictions" / "vqa_lr.jsonl")}
        for out in (whole, tmp_path)
    )
    assert three < four
    assert not (tmp_path / "blind-none").exists()


def test_a_limit_that_no_split_reaches_limits_nothing(
    predictor: Predictor, releases: Path, tmp_path: Path
) -> None:
    run(predictor, tmp_path, releases, "cap_ucm", limit=1000)
    (entry,) = read_results(tmp_path)["entries"]
    assert entry["limit"] is None
    assert "limit" not in entry["signature"]


@pytest.mark.parametrize("blind", [None, "none"])
def test_predict_with_a_limit_asks_what_a_bench_asks(
    tiny_llava: Path, releases: Path, whole: Path, tmp_path: Path, blind: str | None
) -> None:
    """The same images and lines, so that a try can be scored, and resumed, as any file."""
    images = OPTIONS["blind_images"] if blind else OPTIONS["limit"]
    out = tmp_path / "vqa_lr.jsonl"
    options = ["--data-dir", releases, "--limit", images, "--max-new-tokens", 4, "--out", out]
    shown = ["--blind", blind] if blind else []
    command = ["predict", tiny_llava, "vqa_lr", *options, *shown]
    result = CliRunner().invoke(app, [str(word) for word in command])
    assert result.exit_code == 0, result.output
    folder = f"blind-{blind}" if blind else "predictions"
    assert out.read_bytes() == (whole / folder / "vqa_lr.jsonl").read_bytes()


def verb(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_the_verb_asks_all_configs_that_are_there_and_says_what_is_not(
    tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "bench"
    data.mkdir()
    for folder in releases.iterdir():
        if folder != sydney_captions.SOURCE.find(releases):
            (data / folder.name).symlink_to(folder)
    few = ("--limit", 2, "--blind-images", 2, "--max-new-tokens", 2, "--blind", "grey")
    result = verb(tiny_llava, "--data-dir", data, "--out", out, *few)
    assert result.exit_code == 0, result.output
    entries = read_results(out)["entries"]
    absent = {"cap_sydney", "vqa_floodnet", "vqa_rsivqa"}
    assert {entry["config"] for entry in entries} == set(CONFIGS) - absent
    assert {"test", "test_philadelphia"} == {
        entry["split"] for entry in entries if entry["config"] == "vqa_hr"
    }
    assert all("grey" in entry["blind"] for entry in entries if entry["scores"])
    lines = result.stdout.splitlines()
    heads = ["Captioning: CIDEr", "Visual question answering: All questions (OA)"]
    assert [line for line in lines if line in heads] == heads
    (line,) = [line for line in lines if line.startswith("  grounding ")]
    assert len(line.split("[")) == 3  # two intervals
    assert "Not whole splits: 2 images of each, drawn by seed 0." in lines
    assert (
        "Not asked: cap_sydney: the release is not there (rs-gpt4v sources says where to get it)."
        in lines
    )
    assert "Not asked: vqa_floodnet, vqa_rsivqa: it has no test split." in lines
    assert f"Report:  {out / 'report.html'}" in lines
    assert f"Results: {out / 'results.json'}" in lines
    (judge,) = [line for line in lines if line.startswith("  rs-gpt4v judge ")]
    assert str(out / "predictions" / "conversation.jsonl") in judge
    assert not (out / "bench.log").exists()


def test_a_config_that_is_named_must_be_there(
    predictor: Predictor, tmp_path: Path, releases: Path
) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceNotFoundError, match="RSICD is not at"):
        bench(predictor, tmp_path / "out", ["cap_rsicd"], data_dir=str(tmp_path / "data"))
    with pytest.raises(ValueError, match="no source or config 'cap_rsic'"):
        run(predictor, tmp_path / "out", releases, "cap_rsic")
    with pytest.raises(ValueError, match="no test split to ask: vqa_rsivqa: it has no test split"):
        run(predictor, tmp_path / "out", releases, "vqa_rsivqa")


def test_own_files_without_a_test_split_say_how_to_have_one(
    predictor: Predictor, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "val.csv").write_text("image,caption\na.png,A field.\n")
    with pytest.raises(ValueError, match=r"it has no test split: call a file test, or .*test=FILE"):
        bench(predictor, tmp_path / "out", ["folder"], data_dir=str(tmp_path))


def test_an_unknown_blind_run_is_refused(
    predictor: Predictor, releases: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="a blind run shows none, grey, other, not gray"):
        run(predictor, tmp_path, releases, blind=("none", "gray"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--blind", "foo", "--sample"], "a blind run shows none, grey, other, not foo"),
        (["cap_umc", "--sample"], "no source or config 'cap_umc'"),
        ([], "no data root: give data_dir"),
        (["cap_ucm", "--data-dir", "{}"], "UCM-Captions is not at"),
        (["--data-dir", "{}"], "there is no release in"),
    ],
)
def test_what_cannot_be_asked_is_said_before_a_model_is_loaded(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RS_GPT4V_DATA", raising=False)
    arguments = [text.format(tmp_path) for text in arguments]
    command = ["bench", "no/such-model", *arguments, "--out", str(tmp_path / "bench")]
    error = CliRunner().invoke(app, command).exception
    assert said in str(error)
    assert not (tmp_path / "bench").exists()


def test_a_reason_is_said_once_for_all_its_configs() -> None:
    absent = {
        "cap_ucm": "it is not there",
        "vqa_rsivqa": "no test split",
        "vqa_lr": "it is not there",
    }
    assert reasons(absent) == ["cap_ucm, vqa_lr: it is not there", "vqa_rsivqa: no test split"]


def test_two_machines_write_the_same_as_one(
    tiny_llava: Path, releases: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bench"
    asked = [*FEW, "--data-dir", str(releases), "--out", str(out), "--limit", "3"]
    asked += ["--blind-images", "2", "--max-new-tokens", "4", "--batch-size", "4"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launch = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    launch += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    verb = ["-m", "rs_gpt4v.cli", "bench", str(tiny_llava), *asked]
    machines = [
        subprocess.Popen(
            [*launch, f"--node-rank={rank}", *verb],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [machine.communicate()[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert "Report: " in said[0]
    assert "Report: " not in said[1]
    results: Any = read_results(out)
    assert (results["run"]["processes"], results["run"]["machines"]) == (2, 2)
    assert content(out) == content(whole)


def asked(body: dict[str, Any]) -> str:
    """A reply that depends on the question."""
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[-1]["text"]
    return "yes" if len(text) % 2 else "no"


def by_servers(out: Path, releases: Path, *servers: ChatServer, **options: Any) -> Bench:
    first, *others = [server.url for server in servers]
    endpoint = servers[0].endpoint(base_url=first, mirrors=tuple(others), concurrency=4)
    few = {"limit": 6, "blind_images": 2, "data_dir": str(releases), **options}
    return bench(endpoint, out, ["vqa_lr", "scene_ucm"], **few)


def test_servers_share_the_questions_and_one_may_die(releases: Path, tmp_path: Path) -> None:
    left = iter(range(5))

    def dying(body: dict[str, Any]) -> Any:
        return asked(body) if next(left, None) is not None else broken(503)

    with ChatServer(asked) as alone:
        by_servers(tmp_path / "one", releases, alone)
    with ChatServer(asked) as good, ChatServer(dying) as bad:
        found = by_servers(tmp_path / "two", releases, bad, good)
    assert found.failed == []
    assert len(bad.answered) == 5
    assert len(good.answered) == len(alone.answered) - 5
    assert len(bad.bodies) < len(alone.bodies) / 2  # it rests longer and longer
    one, two = (replies(tmp_path / name) for name in ("one", "two"))
    assert one == two
    assert {*one} == {
        f"{folder}/{config}.jsonl"
        for folder in ("predictions", "blind-none")
        for config in ("vqa_lr", "scene_ucm")
    }
    (first, _) = read_results(tmp_path / "one")["entries"]
    (other, _) = read_results(tmp_path / "two")["entries"]
    assert first == other


def replies(out: Path) -> dict[str, bytes]:
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*.jsonl")}


def test_when_all_servers_die_the_same_command_goes_on_later(
    releases: Path, tmp_path: Path
) -> None:
    left = iter(range(20))
    with (
        ChatServer(lambda body: asked(body) if next(left, None) is not None else broken()) as one,
        ChatServer(lambda _: broken()) as two,
        pytest.raises(ChatError, match="the server does not work"),
    ):
        by_servers(tmp_path, releases, one, two)
    with ChatServer(asked) as server:
        assert by_servers(tmp_path, releases, server).failed == []
        questions = sum(entry["n"] for entry in read_results(tmp_path)["entries"])
        assert len(server.answered) > 0
        assert questions > 20


def test_servers_of_boxes_are_asked_only_in_a_known_format(releases: Path, tmp_path: Path) -> None:
    with ChatServer(asked) as server:
        endpoint = server.endpoint()
        with pytest.raises(ValueError, match="grounding: there are boxes: say with --box-format"):
            bench(endpoint, tmp_path, ["vqa_lr", "grounding"], data_dir=str(releases), limit=1)
        assert server.bodies == []
        assert not (tmp_path / "bench.json").exists()


def test_a_damaged_file_in_the_folder_is_said_and_the_others_are_scored(
    predictor: Predictor, whole: Path, releases: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    (out / "predictions" / "mine.jsonl").write_text('{"id": 3}\n')
    found = bench(predictor, out, FEW, data_dir=str(releases), **OPTIONS)
    assert found.results["entries"] == read_results(whole)["entries"]
    (said,) = found.unscored
    assert f"{out / 'predictions' / 'mine.jsonl'}, line 1" in said
    assert f"Not scored: {said}" in list(table.ending(found, out))
