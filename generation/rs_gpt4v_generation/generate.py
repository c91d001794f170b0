"""From scenes to a queue for reviewers: ask, read, check, and account for every image.

On disk, in the folder that is written::

    journal.jsonl       every reply that was paid for
    candidates.jsonl    dialogues with the checks' verdicts, a queue for `rs-gpt4v review`
    failed.jsonl        what has no dialogue, and why

Both lists follow from the scenes and the journal alone: an interrupted run that is continued ends
with the same files as one that was not interrupted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rs_gpt4v.chat_api import Summary
from rs_gpt4v.conversation import Message
from rs_gpt4v.files import AnyPath, json_line, relative, replacing
from rs_gpt4v_generation.asking import Attempt, Generator, ask
from rs_gpt4v_generation.candidates import checks_with, is_sound
from rs_gpt4v_generation.checks import check
from rs_gpt4v_generation.facts import FactSheet
from rs_gpt4v_generation.probes import ProbeOptions, probes
from rs_gpt4v_generation.products import ProductName
from rs_gpt4v_generation.prompts import prompt_version
from rs_gpt4v_generation.replies import Unusable
from rs_gpt4v_generation.scene import Scene

CANDIDATES, FAILED, JOURNAL = "candidates.jsonl", "failed.jsonl", "journal.jsonl"
TEMPLATES = "templates"
"""The "model" of templated questions."""
_CHUNK = 16  # scenes that a process is handed at once: each takes it some milliseconds


@dataclass
class RunReport:
    """What became of every dialogue that was asked for: they came, failed, or are pending.

    Attributes:
        scenes: Images.
        asked: Dialogues asked for.
        stopped: Why the run ended early; None where it did not.
        summaries: One for each round of requests.
        dialogues: Those that came, by product.
        failing: How many of these fail a check.
        checks: How many of these fail each check.
        unconfirmed: How many fail no check but say nothing that the boxes confirm.
        failed: Those that failed for good, by kind.
        pending: Those that the same command will ask for again.
        probes: Templated questions, by whether the answer is yes.
    """

    scenes: int
    asked: int
    stopped: str | None
    summaries: list[Summary]
    dialogues: Counter[str] = field(default_factory=Counter)
    failing: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    unconfirmed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    pending: int = 0
    probes: Counter[bool] = field(default_factory=Counter)

    def count(self, row: dict[str, Any]) -> None:
        """Add a written row."""
        if "wrong" in row:
            self.pending += row["pending"]
            self.failed[row["wrong"]] += not row["pending"]
        elif row["model"] == TEMPLATES:
            self.probes.update(row["holds"])
        else:
            failing = checks_with("fail", row["verdicts"])
            self.dialogues[row["product"]] += 1
            self.failing += bool(failing)
            self.checks.update(failing)
            self.unconfirmed += not failing and not is_sound(row["verdicts"])

    def __str__(self) -> str:
        lines = [
            f"{self.scenes:,} images, {self.asked:,} dialogues asked for: "
            f"{self.dialogues.total():,} came, {self.failed.total():,} failed, "
            f"{self.pending:,} are pending",
            *_listed("dialogues", self.dialogues),
            f"  with a failed check: {self.failing:,}",
            *_listed("failed checks", self.checks),
            f"  without a failed check, but with nothing that the boxes confirm: "
            f"{self.unconfirmed:,}",
            *_listed("failed", self.failed),
        ]
        if self.probes:
            lines.append(
                f"  templated questions: {self.probes.total():,}, {self.probes[False]:,} no"
            )
        lines += map(str, self.summaries)
        return "\n".join([*lines, self.stopped] if self.stopped else lines)


def _listed(title: str, counts: Counter[str]) -> list[str]:
    items = [f"{name} {count:,}" for name, count in counts.most_common() if count]
    return [f"  {title}: {', '.join(items)}"] if items else []


def generate(
    scenes: Sequence[Scene],
    generator: Generator,
    out: AnyPath,
    probing: ProbeOptions = ProbeOptions(),  # noqa: B008 - it does not change
    num_proc: int = 1,
) -> RunReport:
    """Ask for every product of every scene, check the replies, and write the files above.

    Args:
        scenes: With keys that occur once in a split.
        generator: The model, and what to ask it for.
        out: Folder to write; candidates and failures of an earlier run are replaced.
        probing: Templated questions, one more dialogue an image.
        num_proc: Processes that check; the files do not depend on it.

    Raises:
        ChatError: Asking could not begin.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)  # before anything is paid for
    tasks = generator.tasks(scenes)
    generator = generator.without_schema_if_refused(map(generator.request_for, tasks))
    attempts, rounds = ask(tasks, generator)
    report = RunReport(len(scenes), len(tasks), rounds.stopped, rounds.summaries)
    count = len(generator.products)
    by_scene = [attempts[start : start + count] for start in range(0, len(attempts), count)]
    with (
        replacing(out / CANDIDATES) as candidates,
        replacing(out / FAILED) as failed,
        tqdm(total=len(scenes), desc="Checking", unit="image", disable=None) as bar,
    ):
        for rows in checked(scenes, by_scene, probing, out, num_proc):
            for row in rows:
                report.count(row)
                (failed if "wrong" in row else candidates).write(json_line(row))
            bar.update()
    return report


def checked(
    scenes: Sequence[Scene],
    attempts: Sequence[Sequence[Attempt]],
    probing: ProbeOptions,
    folder: AnyPath,
    num_proc: int,
) -> Iterator[list[dict[str, Any]]]:
    """`scene_rows` of each scene with its attempts, in order, made in ``num_proc`` processes."""
    make = partial(scene_rows, probing=probing, folder=folder)
    if num_proc == 1:
        yield from map(make, scenes, attempts)
        return
    # Not forked: the client's threads may hold locks.
    with ProcessPoolExecutor(num_proc, get_context("spawn")) as pool:
        yield from pool.map(make, scenes, attempts, chunksize=_CHUNK)


def scene_rows(
    scene: Scene, attempts: Sequence[Attempt], probing: ProbeOptions, folder: AnyPath
) -> list[dict[str, Any]]:
    """A row per attempt, and one of templated questions; image paths start from ``folder``.

    A candidate also has its ``source`` and ``split``, and ``kinds`` or ``local`` of its `Dialogue`.
    A failed row has ``wrong`` for programs, ``reason`` for people, and is ``pending`` if the same
    command will ask again.
    """
    folder = Path(folder)
    sheet = scene.sheet()
    rows = [_attempt_row(attempt, sheet, folder) for attempt in attempts]
    return [*rows, _probes_row(scene, sheet, probing, folder)] if probing.count else rows


def _attempt_row(attempt: Attempt, sheet: FactSheet, folder: Path) -> dict[str, Any]:
    scene, product, result = attempt.task.scene, attempt.task.product, attempt.result
    if isinstance(result, Unusable):
        return {
            **_origin(scene, product, folder),
            "wrong": result.kind,
            "reason": result.reason,
            "pending": result.kind in ("exhausted", "unsent"),
            "request": attempt.request,
        }
    extras = {"kinds": list(result.kinds), "local": list(result.local)}
    return {
        **_candidate(scene, sheet, product, product, result.messages, folder),
        **{name: texts for name, texts in extras.items() if texts},
        "model": attempt.model,
        "prompt": prompt_version(product),
        "request": attempt.request,
    }


def _probes_row(
    scene: Scene, sheet: FactSheet, probing: ProbeOptions, folder: Path
) -> dict[str, Any]:
    questions = probes(
        sheet,
        probing.count,
        seed=f"{probing.seed}/{scene.split}/{scene.key}",
        share=probing.share,
        vocabulary=scene.vocabulary,
    )
    messages: list[Message] = []
    for probe in questions:
        messages.append({"role": "user", "content": probe.question})
        messages.append({"role": "assistant", "content": probe.answer})
    row = _candidate(scene, sheet, "conversation", "probes", messages, folder)
    return row | {"model": TEMPLATES, "holds": [probe.holds for probe in questions]}


def _candidate(
    scene: Scene,
    sheet: FactSheet,
    product: ProductName,
    name: str,
    messages: Sequence[Message],
    folder: Path,
) -> dict[str, Any]:
    return {
        **_origin(scene, name, folder),
        "width": scene.width,
        "height": scene.height,
        "product": product,
        "messages": list(messages),
        "boxes": scene.boxes,
        "verdicts": [asdict(v) for v in check(messages, sheet, product, scene.vocabulary)],
    }


def _origin(scene: Scene, name: str, folder: Path) -> dict[str, Any]:
    return {
        "id": scene.row_id(name),
        "image": relative(scene.image, folder),
        "source": scene.source,
        "split": scene.split,
        "product": name,
    }
