"""`evaluate` with two processes, each of which adds half of the rows: the scores of one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("evaluate")

from rs_gpt4v_evaluation.rs_caption import measure as rs_caption
from rs_gpt4v_evaluation.rs_grounding import measure as rs_grounding
from rs_gpt4v_evaluation.rs_vqa import measure as rs_vqa

SCRIPT = Path(__file__).parent / "metric_process.py"
CAPTIONS: dict[str, list[Any]] = {
    "predictions": [
        "a road by a river",
        "it is shaped like an x.",
        "There are planes",
        "",
        "trees",
    ],
    "references": [
        ["a road", "the river"],
        ["an x."],
        ["two planes"],
        ["a church"],
        ["many trees"],
    ],
}
ANSWERS: dict[str, list[Any]] = {
    "predictions": ["7", "Yes.", "no", "", "12"],
    "references": ["3", "yes", "yes", "0", "17"],
    "question_types": ["count", "presence", "presence", "count", "count"],
}
BOXES: dict[str, list[Any]] = {
    "predictions": ["[0, 0, 500, 500]", "none", "[0, 0, 250, 500]", "[9, 9, 90, 90]", ""],
    "references": [[0.0, 0.0, 400.0, 300.0]] * 3 + [[100.5, 50.25, 300.0, 200.0]] * 2,
    "sizes": [[800, 600]] * 5,
}


def test_two_processes_give_the_scores_of_one(tmp_path: Path) -> None:
    given: list[tuple[Any, dict[str, list[Any]], dict[str, Any]]] = [
        (rs_caption, CAPTIONS, {}),
        (rs_vqa, ANSWERS, {"counts": "exact"}),
        (rs_grounding, BOXES, {"box_format": "norm1000"}),
    ]
    folders = [str(Path(module.__file__).parent) for module, _, _ in given]
    sent = json.dumps([(f, *rest) for f, (_, *rest) in zip(folders, given, strict=True)])
    first, second = (
        subprocess.Popen(
            [sys.executable, SCRIPT, str(rank), tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    )
    for process in (first, second):
        assert process.stdin is not None
        process.stdin.write(sent)
        process.stdin.close()
        process.stdin = None
    told, nothing = (process.communicate(timeout=300)[0] for process in (first, second))
    alone = [
        rs_caption.measure(**CAPTIONS).result,
        rs_vqa.measure(**ANSWERS, counts="exact").result,
        rs_grounding.measure(**BOXES, box_format="norm1000").result,
    ]
    assert json.loads(told) == dict(zip(folders, alone, strict=True))
    assert json.loads(nothing) == dict.fromkeys(folders)
