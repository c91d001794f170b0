"""From scenes to a queue for reviewers: ask, read, check, and account for every image.

On disk, in the folder that is written::

    journal.jsonl       every reply that was paid for
    candidates.jsonl    dialogues with the checks' verdicts, a queue for `rs-gpt4v review`
    failed.jsonl        what was asked for and is no dialogue, and why

Both lists follow from the scenes and the journal alone: a run that was interrupted and is made
again ends with the same files as one that was not.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rs_gpt4v.files import json_line, replacing
from rs_gpt4v_generation.account import Account
from rs_gpt4v_generation.asking import Generator, ask, requests, wishes
from rs_gpt4v_generation.lines import Probing, Work, lines
from rs_gpt4v_generation.scene import Scene

CANDIDATES, FAILED, JOURNAL = "candidates.jsonl", "failed.jsonl", "journal.jsonl"
_CHUNK = 16  # scenes that a process is handed at once: each takes it some milliseconds


def generate(
    scenes: Sequence[Scene],
    generator: Generator,
    out: Path,
    probing: Probing = Probing(),  # noqa: B008 - it does not change
    num_proc: int = 1,
) -> Account:
    """Ask for every product of every scene, check what comes, and write the files above.

    Args:
        scenes: With keys that occur once in a split.
        generator: Whom to ask for what.
        out: Folder to write; candidates and failures of an earlier run are replaced.
        probing: Templated questions, one more dialogue an image.
        num_proc: Processes that check; the files do not depend on it.

    Raises:
        ChatError: Asking could not begin.
    """
    out.mkdir(parents=True, exist_ok=True)  # before anything is paid for
    wished = wishes(scenes, generator.products)
    asked = ask(wished, generator.without_schema_if_refused(requests(wished, generator)))
    account = Account(len(scenes), len(wished), asked.stopped, asked.summaries)
    drafts = iter(asked.drafts)
    works = [
        Work(scene, tuple(islice(drafts, len(generator.products))), probing, out)
        for scene in scenes
    ]
    with replacing(out / CANDIDATES) as candidates, replacing(out / FAILED) as failed:
        for line in _written(works, num_proc):
            account.count(line)
            file = failed if "wrong" in line else candidates
            file.write(json_line(line))
    return account


def _written(works: Sequence[Work], num_proc: int) -> Iterator[dict[str, Any]]:
    with tqdm(total=len(works), desc="Checking", unit="image", disable=None) as bar:
        for found in checked(works, num_proc):
            yield from found
            bar.update()


def checked(works: Sequence[Work], num_proc: int) -> Iterator[list[dict[str, Any]]]:
    """`lines` of each work, in order, in so many processes."""
    if num_proc == 1:
        yield from map(lines, works)
        return
    # Not forked: the client's threads may hold locks.
    with ProcessPoolExecutor(num_proc, get_context("spawn")) as pool:
        yield from pool.map(lines, works, chunksize=_CHUNK)
