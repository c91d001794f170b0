"""Predictions files for the tests of reports."""

import base64
import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chat_server import Answering, ChatServer
from prediction_lines import row, write

from rs_gpt4v_evaluation.judge import Judge, judge_files
from rs_gpt4v_evaluation.report import report

# Always "3" (3 of 4 counts, exactly) and "no" (2 of 3): 5 of 7 = 71.4 %, mean 70.8 %.
QUESTIONS = [
    *(("count", answer) for answer in ("3", "3", "three", "8")),
    *(("presence", answer) for answer in ("no", "yes", "no")),
]
BEFORE = ["", "3", "x", "x", "", "yes", "yes"]
AFTER = ["3", "3", "3", "8", "no", "no", "no"]
CAPTIONS = [["A road by a river.", "A road."], ["Two planes <script>alert(1)</script>", "A jet."]]


DECODING = {"do_sample": False, "max_new_tokens": 16}


def line(number: int, folder: Path, *, task: str, **values: Any) -> dict[str, Any]:
    usual = {
        "id": f"x/test/{number}",
        "source": "rsvqa_hr",
        "question_type": None,
        "image": str(folder / f"{number}.png"),
        "prompt": "Describe the image.",
        "model": "some/model",
        "decoding": DECODING,
    }
    return row(number, task, **(usual | values))


def written(path: Path, lines: list[dict[str, Any]], **values: Any) -> Path:
    return write(path, lines, **({"config": path.stem, "fingerprint": "f1"} | values))


def vqa(path: Path, replies: Sequence[str], **values: Any) -> Path:
    rows = enumerate(zip(QUESTIONS, replies, strict=True))
    lines = [
        line(i, path.parents[1], task="vqa", question_type=kind, references=[true], prediction=said)
        for i, ((kind, true), said) in rows
    ]
    return written(path, lines, **values)


def captions(path: Path, replies: Sequence[str]) -> Path:
    rows = enumerate(zip(CAPTIONS, replies, strict=True))
    return written(
        path,
        [
            line(i, path.parents[1], task="caption", references=true, prediction=said)
            for i, (true, said) in rows
        ],
    )


def grounding(path: Path, rows: Sequence[tuple[list[float], str]], **values: Any) -> Path:
    """Each row is a true box in pixels of a 400 x 200 image, hbb or obb, and a reply."""
    lines = [
        line(i, path.parents[1], task="grounding", references=["[...]"], prediction=said)
        | {"source": "dior_rsvg", "prompt": f"Find {i}.", "width": 400, "height": 200}
        | {"boxes": [{"label": "ship", "points": box, "kind": "hbb" if len(box) == 4 else "obb"}]}
        for i, (box, said) in enumerate(rows)
    ]
    return written(path, lines, **values)


TURNS = ["Two ships.", "At the pier.", "No."]
DETAIL = "A pier with two ships <i>in</i> it."


def dialogues(folder: Path, answers: Sequence[str] = (*TURNS, DETAIL), **more: Any) -> list[Path]:
    """Three turns, two of them about one image, and a description; ``more`` of each line."""
    *turns, detail = answers
    history = [[], [{"role": "user", "content": "Ships?"}], []]
    history[1].append({"role": "assistant", "content": "Two ships, moored."})
    common = {"source": "rs_gpt4v_instruct", "references": ["The truth."], **more}

    def asked(row: int, image: int, task: str, answer: str) -> dict[str, Any]:
        made = line(image, folder.parent, task=task, prediction=answer, prompt=f"{task} {row}?")
        return made | common | {"id": f"rs_gpt4v_instruct/test/{task}/{row}"}

    conversation = [
        asked(row, row // 2, "conversation", answer) | {"history": history[row]}
        for row, answer in enumerate(turns)
    ]
    described = asked(3, 1, "detail", detail) | {"decoding": {**DECODING, "max_new_tokens": 512}}
    return [
        written(folder / "conversation.jsonl", conversation, fingerprint="c"),
        written(folder / "detail.jsonl", [described], fingerprint="d"),
    ]


def judged(files: Sequence[Path], answering: Answering, model: str = "m", **options: Any) -> Path:
    """What `rs-gpt4v judge` writes where the judge answers like that, beside the first file."""
    out = files[0].with_name("judged.jsonl")
    with ChatServer(answering) as server:
        journal = out.with_name("journal")
        usual = {"endpoint": server.endpoint(model=model), "journal": journal, "with_image": False}
        judge_files(files, out, Judge(**(usual | options)))
    return out


def score_of(body: dict[str, Any], scores: dict[str, Any]) -> str:
    """A judge's reply that gives an answer the score of its words, and says why."""
    answer = json.loads(body["messages"][1]["content"][-1]["text"])["answer"]
    reply = {"reason": f"Because of {answer}", "score": scores[answer]}
    return json.dumps(reply)


def made(files: Sequence[Path], name: str = "report.html", **options: Any) -> str:
    """The report of files, which are two folders deep."""
    out = files[0].parents[1] / "pages" / name
    report(files, out, **options)
    assert [path.name for path in out.parent.iterdir()] == [name]
    text = out.read_text(encoding="utf-8")
    out.unlink()
    return text


def packed(page: str) -> dict[str, Any]:
    """What the page's script reads."""
    content = re.findall(r'<script type="text/plain" id="rows">(.*?)</script>', page, re.DOTALL)[0]
    return json.loads(gzip.decompress(base64.b64decode(content)))
