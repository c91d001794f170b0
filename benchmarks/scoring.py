"""Scores, intervals and the report at the size of the paper's test splits: CPU time and memory.

    python benchmarks/scoring.py FILES

FILES is a folder that `scoring_files.py` has written. Each line of the table is a process of its
own that runs the verb, its start included. Then the caption scores, METEOR aside, and the AP of
100,000 boxes, beside pycocoevalcap and pycocotools; last, how the page opens in Chromium.
"""

import argparse
import contextlib
import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CAPTIONS = ("cap_nwpu", "cap_rsicd", "cap_sydney", "cap_ucm")
SPLITS = ("vqa_hr", "vqa_hr_philadelphia", "grounding", *CAPTIONS)
_RUN = """
import atexit, sys, time
from pathlib import Path

def say():
    # Not getrusage: its peak is that of the process that started this one, if that was larger.
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    print(time.process_time(), int(peak) / 1024, file=sys.stderr)

atexit.register(say)
"""
_VERB = "from rs_gpt4v.cli import main; main()"
_READ = """
from rs_gpt4v_evaluation.predict.predictions import read_predictions
kept = [read_predictions(Path(file)) for file in sys.argv[1:]]
"""


def run(name: str, code: str, *arguments: str | Path) -> None:
    """Print a line of the table: CPU and wall-clock seconds, and the peak of memory."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", _RUN + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall = time.perf_counter() - begun
    cpu, peak = map(float, done.stderr.splitlines()[-1].split())
    print(f"{name:52}{cpu:8.1f} s{wall:8.1f} s{peak:8,.0f} MB", flush=True)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call, without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.process_time()
        work()
    return time.process_time() - start


def verbs(files: Path) -> None:
    """The table of processes."""

    def named(*names: str) -> list[Path]:
        return [files / f"{name}.jsonl" for name in names]

    print(f"{'':52}{'CPU':>10}{'wall':>10}{'peak':>11}")
    run("starting rs-gpt4v score", _VERB, "score", "--help")
    run("reading 351,519 predictions", _READ, *named(*SPLITS))
    score = (_VERB, "score", "--intervals", "--json")
    run("score, 351,519 rows of seven splits", *score, *named(*SPLITS))
    run("score, 222,684 answers (RSVQA-HR)", *score, *named("vqa_hr"))
    run("score, 105,647 answers (Philadelphia)", *score, *named("vqa_hr_philadelphia"))
    run("score, 18,677 boxes (DIOR-RSVG)", *score, *named("grounding"))
    run("score, 4,511 captions with METEOR", *score, *named(*CAPTIONS))
    run("score, 31,500 replies about scenes", *score, *named("scene_nwpu"))
    run("score, 100,000 boxes of 10,000 detections", *score, *named("detect_dior"))
    run("score, 300,000 probes", *score, *named("probe_presence"))
    two = ("score", *named("vqa_hr_again"), "--json", "--against", *named("vqa_hr"))
    run("score --against, 222,684 answers twice", _VERB, *two)
    page = ("report", *named(*SPLITS), "--intervals", "--out", files / "report.html")
    run("report, 351,519 rows", _VERB, *page)


def captions(files: Path) -> None:
    """Tokens, BLEU, ROUGE-L and CIDEr of NWPU's captions, beside the peer's."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    from rs_gpt4v_evaluation.rs_caption.measure import measure
    from rs_gpt4v_evaluation.rs_caption.ptb import tokenize

    rows = [json.loads(line) for line in (files / "cap_nwpu.jsonl").open()]
    said, true = [r["prediction"] for r in rows], [r["references"] for r in rows]
    given = {i: [text] for i, text in enumerate(tokenize(said))}
    truth = {i: tokenize(own) for i, own in enumerate(true)}
    ours = seconds(lambda: measure(said, true, ("bleu", "rouge_l", "cider")))
    scorers = (Bleu(4), Rouge(), Cider())
    theirs = seconds(lambda: [scorer.compute_score(truth, given) for scorer in scorers])
    print(
        f"3,150 captions without METEOR: {ours:.1f} s, tokens included; "
        f"pycocoevalcap {theirs:.1f} s of tokens ({theirs / ours:.1f} times)"
    )


def boxes(files: Path) -> None:
    """AP of boxes with a confidence, beside the peer's."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from rs_gpt4v.box_codecs import CODECS
    from rs_gpt4v_evaluation.rs_detection.measure import measure

    rows = [json.loads(line) for line in (files / "detect_dior.jsonl").open()]
    sure = [[1 - (i * 37 + k) % 101 / 101 for k in range(10)] for i in range(len(rows))]
    columns: dict[str, Any] = {
        "predictions": [row["prediction"] for row in rows],
        "references": [[box["points"] for box in row["boxes"]] for row in rows],
        "classes": [row["question_type"] for row in rows],
        "sizes": [(row["width"], row["height"]) for row in rows],
        "box_format": "llava",
        "confidences": sure,
    }
    names = sorted(set(columns["classes"]))
    coco: Any = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in range(len(rows))],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "annotations": [],
    }
    found: Any = []
    for i, row in enumerate(rows):
        common = {"image_id": i, "category_id": names.index(row["question_type"])}
        for x1, y1, x2, y2 in columns["references"][i]:
            size = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            number = len(coco.dataset["annotations"]) + 1
            coco.dataset["annotations"].append({**common, **size, "id": number, "iscrowd": 0})
        boxes_read: Any = CODECS["llava"].parse(row["prediction"], row["width"], row["height"])
        for (x1, y1, x2, y2), score in zip(boxes_read, sure[i], strict=True):
            found.append({**common, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score})
    kept: list[Any] = []

    def theirs() -> None:
        coco.createIndex()
        peer = COCOeval(coco, coco.loadRes(found), "bbox")
        peer.evaluate()
        peer.accumulate()
        peer.summarize()
        kept.append(peer.stats[0])

    ours = seconds(lambda: kept.append(measure(**columns).result["ap"]))
    peer = seconds(theirs)
    print(
        f"AP of 100,000 boxes: {ours:.1f} s, reading replies and F1 included; pycocotools "
        f"{peer:.1f} s of read boxes ({peer / ours:.1f} times); AP differs by "
        f"{abs(kept[0] - kept[1]):.1e}"
    )


def page(path: Path) -> None:
    """Print the best of five openings in Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"],
        )
        times = [_opened(browser, path) for _ in range(5)]
        browser.close()
    ready, paint, search, heap = min(times)
    print(
        f"Page of {path.stat().st_size / 1e6:.1f} MB in Chromium: first paint {paint:.2f} s, rows "
        f"to browse after {ready:.2f} s; a search takes {search:.2f} s; heap {heap:.0f} MB"
    )


def _opened(browser: Any, path: Path) -> tuple[float, float, float, float]:
    """Seconds to the first interaction, to the first paint and of a search, and megabytes."""
    page = browser.new_page()
    begun = time.perf_counter()
    page.goto(path.absolute().as_uri(), wait_until="commit")
    page.wait_for_selector("#browser:not([hidden])", timeout=120_000)
    ready = time.perf_counter() - begun
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    before = page.text_content("#status")
    begun = time.perf_counter()
    page.fill("#search", "water parking")
    page.wait_for_function(
        "text => document.querySelector('#status').textContent !== text", arg=before
    )
    search = time.perf_counter() - begun
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    page.close()
    return ready, paint / 1000, search, heap / 1e6


def main() -> None:
    """Print all."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("files", type=Path)
    files = parser.parse_args().files
    verbs(files)
    captions(files)
    boxes(files)
    page(files / "report.html")


if __name__ == "__main__":
    main()
