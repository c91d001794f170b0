"""One model on every task: predictions, blind runs, scores, one page and one results file."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from rs_gpt4v.bootstrap import RESAMPLES
from rs_gpt4v.chat_api import Endpoint
from rs_gpt4v.files import AnyPath, each_alone, locked, whole_lines, write_text
from rs_gpt4v_builders import usable
from rs_gpt4v_evaluation.bench.asking import Answerer, answerer
from rs_gpt4v_evaluation.bench.jobs import (
    Draw,
    Job,
    Split,
    check_asked,
    count,
    jobs,
    test_splits,
)
from rs_gpt4v_evaluation.bench.machine import Meter, versions
from rs_gpt4v_evaluation.bench.settings import FILE as SETTINGS
from rs_gpt4v_evaluation.bench.settings import check, check_shared, keep
from rs_gpt4v_evaluation.bench.table import overview
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Rules
from rs_gpt4v_evaluation.predict.predictions import PREDICTIONS, parts
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_evaluation.score.results import Model, Results, read_results, results_of

if TYPE_CHECKING:
    from rs_gpt4v_evaluation.predict import Predictor

__all__ = ["BLIND_IMAGES", "Bench", "bench", "check_asked"]

BLIND_IMAGES = 100
PAGE, RESULTS = "report.html", "results.json"

Step = Callable[[str, int], AbstractContextManager[Any]]
"""Names a step of so many parts, and gives its progress bar."""


class Bench(NamedTuple):
    """What a bench has found.

    Attributes:
        results: All that its folder holds, of earlier runs too.
        absent: Why configs were not asked, by their names.
        failed: A line for each row without a reply: its id, and why. The next run asks them again.
        unscored: Why files of predictions in its folder could not be scored.
    """

    results: Results
    absent: dict[str, str]
    failed: list[str]
    unscored: list[str]


@contextmanager
def _step(text: str, total: int) -> Iterator[Any]:
    with tqdm(total=total, desc=text) as bar:
        yield bar


def bench(
    model: "Predictor | Endpoint",
    out: AnyPath,
    configs: Sequence[str] = (),
    *,
    limit: int | None = None,
    blind: Sequence[str] = ("none",),
    blind_images: int = BLIND_IMAGES,
    seed: int = 0,
    batch_size: int = 8,
    max_new_tokens: int | None = None,
    box_format: str | None = None,
    rules: Rules = DEFAULT_RULES,
    resamples: int = RESAMPLES,
    step: Step = _step,
    **options: Any,
) -> Bench:
    """Ask ``model`` all test splits that are there, score its replies, and write results and page.

    ``out`` gets ``predictions/CONFIG.jsonl``, ``blind-KIND/CONFIG.jsonl``, ``results.json`` and
    ``report.html``. What is in ``out`` already is kept: an interrupted run goes on, and other
    configs are added. All but ``run`` in the results is the same then, byte for byte.

    Args:
        model: A model here, or a server's.
        out: The folder.
        configs: Configs and groups; all whose release is there where none is named.
        limit: Of each split, ask about this many images, drawn by ``seed``; None for all.
        blind: Ask once more without the images ("none"), with grey ones ("grey"), or with other
            ones of the split ("other").
        blind_images: About how many images of each split; 0 for no blind runs.
        seed: Of the drawn images.
        batch_size: Rows at once, of a model here.
        max_new_tokens: Longest reply; None for what the task needs.
        box_format: How the model writes boxes; None for what its family does.
        rules: How replies are compared with the truth.
        resamples: Draws for the 95 % intervals.
        step: Shows progress.
        **options: Of `load_dataset("rs_gpt4v", ...)`: ``data_dir``, ``sample``, ``protocol``, ...

    Raises:
        SettingsError: ``out`` holds results of another model, or with other settings.
        ValueError: There is no test split to ask, or a server's box format is not known.
        InUseError: Another run writes into ``out``.
    """
    out = Path(out)
    check_asked(configs, blind, options)
    asks = answerer(model, batch_size)
    options = {"protocol": "paper", "sample": False, **options}
    codec = box_format or asks.box_format
    about = {
        **asks.described,
        "sample": options["sample"],
        "protocol": options["protocol"],
        "limit": limit,
        "blind_images": blind_images,
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        "box_format": codec,
        "probes_per_image": options.get("probes_per_image"),
    }
    with locked(out / SETTINGS) if asks.is_main else nullcontext():
        check(out, about)
        with step("Read the test splits", count(configs)) as bar:
            splits, absent = test_splits(configs, codec or "llava", options, bar.update)
        if codec is None:
            _refuse_boxes(splits, asks.described["name"])
        work = []
        for split in splits:
            of_split, left_out = jobs(split, Draw(limit, blind_images, seed), blind, max_new_tokens)
            work += of_split
            absent |= left_out
        if asks.is_main:
            keep(out, about)
        asks.wait()
        check_shared(out)
        failed, run = _ask(work, asks, out, step)
        unscored: list[str] = []
        if asks.is_main:
            with step("Score the replies, and write the page", 2) as bar:
                unscored = _write(out, asks.described, rules, resamples, run, bar.update)
        asks.wait()
        return Bench(read_results(out), absent, failed, unscored)


def _refuse_boxes(splits: Sequence[Split], model: str) -> None:
    boxed = [split.config for split in splits if any(split.rows["boxes"])]
    if boxed:
        raise ValueError(
            f"{', '.join(dict.fromkeys(boxed))}: there are boxes: say with --box-format how "
            f"{model} writes them, or name other configs"
        )


def _ask(
    work: Sequence[Job], asks: Answerer, out: Path, step: Step
) -> tuple[list[str], dict[str, Any]]:
    """The rows without a reply, and how the asking went."""
    meter, asked, failed = Meter(), {}, []
    total = sum(len(job.rows) for job in work)
    with step(f"Ask {total:,} questions", total) as bar:
        for job in work:
            started, new = time.monotonic(), len(job.rows) - _answered(out / job.file)
            failed += asks.ask(job, out / job.file, bar)
            if new:
                seconds = round(time.monotonic() - started, 2)
                asked[job.file.with_suffix("").as_posix()] = {"rows": new, "seconds": seconds}
    return failed, {**asks.run(), "asked": asked, "joules": meter.joules()}


def _answered(file: Path) -> int:
    return sum(1 for own in parts(file) for _ in whole_lines(own))


def _write(
    out: Path,
    model: Model,
    rules: Rules,
    resamples: int,
    run: dict[str, Any],
    advance: Callable[[], Any],
) -> list[str]:
    """Results and page of all predictions in ``out``; why files of them could not be scored."""
    files = _files(out, PREDICTIONS)
    blind = [file for folder in sorted(out.glob("blind-*")) for file in _files(out, folder.name)]

    def read(kept: list[Path]) -> Results:
        seen = [file for file in kept if file in files]
        return results_of(seen, [file for file in kept if file in blind], rules, resamples, out)

    unscored: list[str] = []
    results, kept = each_alone(read, [*files, *blind], unscored)
    results["model"]["revision"] = model["revision"]
    advance()
    if any(entry["scores"] for entry in results["entries"]):
        name = PurePath(model["adapter"] or model["name"]).name
        title = f"{name}: one model, every task"
        report(
            kept,
            out / PAGE,
            title=title,
            resamples=resamples,
            rules=rules,
            label=name,
            overview=overview(results),
        )
        results["report"] = PAGE
    advance()
    results["run"] = {"versions": versions(), **run, "asked": _earlier(out) | run["asked"]}
    write_text(out / RESULTS, json.dumps(results, ensure_ascii=False, indent=1) + "\n")
    return unscored


def _files(out: Path, folder: str) -> list[Path]:
    """Predictions files in the order of our configs; others after them."""
    order = {name: number for number, name in enumerate(usable())}

    def place(file: Path) -> tuple[int, str]:
        config = file.stem.partition("-")[0]
        return order.get(config, len(order)), file.stem

    return sorted((out / folder).glob("*.jsonl"), key=place)


def _earlier(out: Path) -> dict[str, Any]:
    """What earlier runs into ``out`` took for the files that this one found finished."""
    if not (out / RESULTS).is_file():
        return {}
    return read_results(out).get("run", {}).get("asked", {})
