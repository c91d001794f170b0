"""A release of one's own, laid out as RS-GPT4V-Instruct, from generated dialogues.

On disk, for ``load_dataset("rs_gpt4v", "conversation", data_dir=ROOT)`` and for LLaVA::

    RS_GPT4V_Instruct/
      {conversation,detail}_SPLIT.json   as `rs_gpt4v_builders.rs_gpt4v_instruct` says; each item
                                         has "provenance": model, prompt, request, checks, reviews
      images/...                         those that are not DIOR's
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rs_gpt4v.files import refuse_overwriting
from rs_gpt4v.generation.review.candidates import image_path, read_queue
from rs_gpt4v.generation.verdicts import is_sound, tally
from rs_gpt4v.source import read_json
from rs_gpt4v_builders import dior
from rs_gpt4v_builders.export._images import image_names, store
from rs_gpt4v_builders.export._material import write_json_list
from rs_gpt4v_builders.export.llava import conversations
from rs_gpt4v_builders.rs_gpt4v_instruct import SOURCE

_DIOR = {dior.SOURCE.name, dior.ORIENTED.name}


@dataclass(frozen=True, slots=True)
class Release:
    """What was written.

    Attributes:
        folder: The release.
        written: Items by file.
        left_out: Dialogues that nobody reviewed and that are not sound.
        problems: Why lines of the files are no dialogues.
    """

    folder: Path
    written: dict[str, int]
    left_out: int
    problems: list[str]


class ReleaseError(ValueError):
    """Dialogues cannot be released together; the message says which and why."""


def release(files: Sequence[Path], root: Path, images: str = "copy") -> Release:
    """Write the dialogues of ``files`` as a release below the data root ``root``.

    What people accepted is taken, and of what nobody reviewed what is sound: it fails no check and
    says something that the boxes confirm. Lists that were written so before are replaced.

    Args:
        files: Final dialogues of `rs_gpt4v.generation.review.reconcile`, or candidates.
        root: The folder of all releases.
        images: How images that are not DIOR's get there: "copy", "hardlink" or "symlink".

    Raises:
        OverwriteError: A list would take the place of one of ``files``.
        ReleaseError: A dialogue occurs twice, or does not say of which split it is; or a list
            there is of another hand.
        EmptyQueueError: A file has no dialogue.
    """
    problems, rows = _read(files)
    good = [row for row in rows if row.get("reviews") or is_sound(row["verdicts"])]
    folder = root / SOURCE.folders[0]
    folder.mkdir(parents=True, exist_ok=True)
    lists = _lists(good, names := _names(good))
    refuse_overwriting([folder / name for name in lists], files)
    for name in lists:
        _refuse_others(folder / name)
    store({path: name for path, name in names.items() if "/" in name}, folder, images)
    for name, items in lists.items():
        write_json_list(folder / name, items)
    written = {name: len(items) for name, items in lists.items()}
    return Release(folder, written, len(rows) - len(good), problems)


def _read(files: Iterable[Path]) -> tuple[list[str], list[dict[str, Any]]]:
    problems: list[str] = []
    rows: dict[str, dict[str, Any]] = {}
    for file in files:
        queue = read_queue(file)
        problems += queue.problems
        for one in queue.candidates:
            row: dict[str, Any] = {**one, "path": str(image_path(one, file.parent))}
            if row["id"] in rows:
                raise ReleaseError(f"{file}: id {row['id']!r} is in an earlier file too")
            if not isinstance(row.get("split"), str):
                raise ReleaseError(f"{file}, id {row['id']!r}: no 'split', such as \"train\"")
            rows[row["id"]] = row
    return problems, list(rows.values())


def _lists(
    rows: Iterable[dict[str, Any]], names: dict[str, str]
) -> dict[str, list[dict[str, Any]]]:
    lists: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        config = "detail" if row["product"] == "detail" else "conversation"
        lists.setdefault(f"{config}_{row['split']}.json", []).append(_item(row, names))
    return lists


def _refuse_others(path: Path) -> None:
    """Leave alone what was fetched, or made in another way."""
    if path.is_file() and not all("provenance" in item for item in read_json(path)):
        raise ReleaseError(
            f"{path} is there and was not written from generated dialogues: give another "
            "--data-dir, or move it away"
        )


def _names(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """By path: DIOR's images by their file names, as the released subset has them."""
    of_dior = {row["path"] for row in rows if row.get("source") in _DIOR}
    own = {row["path"] for row in rows} - of_dior
    top = Path(os.path.commonpath([Path(path).parent for path in own])) if own else Path()
    return {path: Path(path).name for path in of_dior} | image_names(own, top)


def _item(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    said = {name: row[name] for name in ("model", "prompt", "request", "generated") if name in row}
    return {
        "id": row["id"].removeprefix(f"{row['split']}/"),
        "image": names[row["path"]],
        "conversations": conversations(row["messages"], [row["path"]]),
        "provenance": {**said, "checks": tally(row["verdicts"]), "reviews": row.get("reviews", [])},
    }
