"""What a bench prints of results, and what it tells of the machine."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from prediction_lines import row, write

from rs_gpt4v_evaluation.bench import Bench, table
from rs_gpt4v_evaluation.bench.machine import Meter
from rs_gpt4v_evaluation.score.results import Results, results_of


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Questions of which the blind run answers as many, and captions with a limit."""
    questions = [row(n, references=["yes" if n % 4 else "no"], prediction="no") for n in range(8)]
    drawn = {"images": 3, "seed": 5, "rows": 12}
    seen = [
        write(tmp_path / "vqa.jsonl", questions, config="vqa_lr"),
        write(
            tmp_path / "cap.jsonl",
            [row(n, "caption", references=[f"ship {n} here"]) for n in range(3)],
            config="cap_ucm",
            limit=drawn,
        ),
        write(tmp_path / "detail.jsonl", [row(1, "detail")], config="detail"),
    ]
    blind = [
        write(tmp_path / kind / "vqa.jsonl", questions[:4], config="vqa_lr", images=kind)
        for kind in ("none", "grey")
    ]
    return results_of(seen, blind, resamples=20, folder=tmp_path)


def test_a_line_a_config_and_one_more_for_each_further_blind_run(results: Results) -> None:
    lines = [*table.lines(results)]
    head = lines[0].split("  ")
    assert [cell.strip() for cell in head if cell] == [
        "n",
        "score",
        "95 % interval",
        "blind",
        "image's share",
    ]
    assert lines[1] == "Visual question answering: All questions (OA)"
    assert lines[2].split("  ")[1] == "vqa_lr"
    assert "none 25.0 %" in lines[2]
    assert "0.0 [0.0, 0.0]" in lines[2]
    assert lines[3].split("  ")[-2:] == ["grey 25.0 %", "0.0 [0.0, 0.0]"]
    assert lines[3].startswith(" " * 20)
    assert lines[4] == "Captioning: CIDEr"
    assert lines[6:] == [
        "",
        "Not whole splits: 3 images of each, drawn by seed 5.",
        "blind: the same model with no image, on at most 4 images of each split.",
        "blind: the same model with a grey image, on at most 4 images of each split.",
        "image's share: how much more the same rows score with their image.",
        "Worse than guessing: vqa_lr.",
        "No better with the image than without it: vqa_lr.",
    ]


def test_an_entry_of_a_page_leads_to_its_table(results: Results) -> None:
    overview = table.overview(results)
    assert [(number, cells[0]) for number, cells in overview.rows] == [
        (None, "Visual question answering: All questions (OA)"),
        (1, "vqa_lr"),
        (None, ""),
        (None, "Captioning: CIDEr"),
        (2, "cap_ucm"),
    ]


def test_the_ending_says_what_is_missing_and_what_comes_next(results: Results) -> None:
    found = Bench(results, {"a": "why", "b": "why", "c": "other"}, ["row/1: too long"], [])
    assert [*table.ending(found, Path("out dir"))] == [
        "Not asked: a, b: why.",
        "Not asked: c: other.",
        "1 rows have no reply; run the same command to ask again:",
        "row/1: too long",
        f"Report:  {Path('out dir', 'report.html')}",
        f"Results: {Path('out dir', 'results.json')}",
        "Not judged yet; a strong model scores these answers:",
        "  rs-gpt4v judge 'out dir/detail.jsonl' --judge-model MODEL --out 'out dir/judged.jsonl'",
    ]


def test_the_energy_of_gpus_is_metered_where_nvml_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Meter().joules() is None or importlib.util.find_spec("pynvml")
    counts = tmp_path / "counts.json"
    (tmp_path / "pynvml.py").write_text(
        "import json, pathlib\n"
        "class NVMLError(Exception): pass\n"
        "def nvmlInit(): pass\n"
        "def nvmlDeviceGetCount(): return 2\n"
        "def nvmlDeviceGetHandleByIndex(i): return i\n"
        "def nvmlDeviceGetTotalEnergyConsumption(gpu):\n"
        f"    counts = json.loads(pathlib.Path({str(counts)!r}).read_text())\n"
        "    if counts is None: raise NVMLError\n"
        "    return counts[gpu]\n"
    )
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    def gpus(value: Any) -> None:
        counts.write_text(json.dumps(value))

    gpus([1000, 5000])
    meter = Meter()
    gpus([3500, 5000])
    assert meter.joules() == 2.5
    gpus(None)
    assert meter.joules() is None
    monkeypatch.delitem(sys.modules, "pynvml")
