"""A release of one's own, laid out as RS-GPT4V-Instruct, from generated dialogues.

On disk, for ``load_dataset("rs_gpt4v", "conversation", data_dir=ROOT)`` and for LLaVA::

    RS_GPT4V_Instruct/
      {conversation,detail}_SPLIT.json   as the source `rs_gpt4v_instruct` says; each item
                                         has "provenance": model, prompt, request, checks, reviews
      images/...                         those that are not DIOR's
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from datasets.config import HF_DATASETS_CACHE

from rs_gpt4v.files import AnyPath, refuse_overwriting
from rs_gpt4v.images import ImageError, checked, refuse_outside
from rs_gpt4v_builders.export.images import image_names, store
from rs_gpt4v_builders.export.job import write_json_list
from rs_gpt4v_builders.export.llava import conversations
from rs_gpt4v_builders.image_checks import CONVERTED
from rs_gpt4v_builders.sample import SAMPLE
from rs_gpt4v_builders.sources import dior, voc_xml
from rs_gpt4v_builders.sources.images import ImageFinder
from rs_gpt4v_builders.sources.reading import read_json
from rs_gpt4v_builders.sources.rs_gpt4v_instruct import SOURCE
from rs_gpt4v_generation.candidates import image_path, is_sound, read_queue, tally
from rs_gpt4v_generation.products import PRODUCTS

_DIOR = {dior.SOURCE.name, dior.ORIENTED.name}


@dataclass(frozen=True, slots=True)
class Release:
    """What was written.

    Attributes:
        folder: The release.
        written: Items by file.
        left_out: Dialogues that nobody reviewed and that are not sound.
        problems: Why lines of the files are no dialogues, or have no image to release.
    """

    folder: Path
    written: dict[str, int]
    left_out: int
    problems: list[str]


class ReleaseError(ValueError):
    """Dialogues cannot be released together; the message says which and why."""


def release(
    files: Sequence[AnyPath],
    root: AnyPath,
    images: str = "copy",
    images_from: Sequence[AnyPath] = (),
) -> Release:
    """Write the dialogues of ``files`` as a release below the data root ``root``.

    What people accepted is taken, and of what nobody reviewed what is sound: it fails no check and
    says something that the boxes confirm. Lists that were written so before are replaced.

    Args:
        files: Final dialogues of `rs_gpt4v_generation.review.reconcile`, or candidates.
        root: The folder of all releases.
        images: How images that are not DIOR's get there: "copy", "hardlink" or "symlink".
        images_from: Folders that images may come from, beside ``root``, the folders of ``files``,
            and the sample and converted images in the cache of `datasets`.

    Raises:
        OverwriteError: A list would take the place of one of ``files``.
        ReleaseError: A dialogue occurs twice, or does not say of which split it is; or a list
            there is of another hand; or no dialogue has an image that may be released.
        EmptyQueueError: A file has no dialogue.
    """
    images_from = [Path(file) for file in images_from]
    files = [Path(file) for file in files]
    root = Path(root)
    problems, rows = _read(files)
    chosen = [row for row in rows if row.get("reviews") or is_sound(row["verdicts"])]
    of_dior, own, unusable = _images(chosen, root, images_from)
    for row in chosen:
        if reason := unusable.get(row["path"]):
            problems.append(f"id {row['id']!r}: {reason}")
    good = [row for row in chosen if row["path"] not in unusable]
    if chosen and not good:
        raise ReleaseError(f"no dialogue has an image that can be released: {problems[-1]}")
    folder = root / SOURCE.folders[0]
    folder.mkdir(parents=True, exist_ok=True)
    lists = _lists(good, names := {path: Path(path).name for path in of_dior} | _own_names(own))
    refuse_overwriting([folder / name for name in lists], files)
    for name in lists:
        _refuse_others(folder / name)
    store({path: names[path] for path in own}, folder, images)
    for name, items in lists.items():
        write_json_list(folder / name, items)
    written = {name: len(items) for name, items in lists.items()}
    return Release(folder, written, len(rows) - len(chosen), problems)


def _read(files: Iterable[Path]) -> tuple[list[str], list[dict[str, Any]]]:
    problems: list[str] = []
    rows: dict[str, dict[str, Any]] = {}
    for file in files:
        queue = read_queue(file)
        problems += queue.problems
        for candidate in queue.candidates:
            path = os.path.normpath(image_path(candidate, file.parent.absolute()))
            row: dict[str, Any] = {**candidate, "path": path, "queue": file.parent}
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
        config = PRODUCTS[row["product"]].config
        lists.setdefault(f"{config}_{row['split']}.json", []).append(_item(row, names))
    return lists


def _refuse_others(path: Path) -> None:
    """Leave alone what was fetched, or made in another way."""
    if path.is_file() and not all("provenance" in item for item in read_json(path)):
        raise ReleaseError(
            f"{path} is there and was not written from generated dialogues: give another "
            "--data-dir, or move it away"
        )


class _Images(NamedTuple):
    """The images of DIOR in the data root, those to take along, and why others are not taken."""

    of_dior: list[str]
    own: list[str]
    unusable: dict[str, str]


def _images(rows: Sequence[dict[str, Any]], root: Path, images_from: Sequence[Path]) -> _Images:
    cache = Path(HF_DATASETS_CACHE).expanduser()
    allowed = [root, *images_from, cache / SAMPLE, cache / CONVERTED]
    diors = ImageFinder(SOURCE, root / SOURCE.folders[0]).folders
    images = _Images([], [], {})
    for path, row in {row["path"]: row for row in rows}.items():
        if row.get("source") in _DIOR and _is_diors(Path(path), diors):
            images.of_dior.append(path)
            continue
        try:
            refuse_outside(Path(path), [*allowed, row["queue"]])
            checked(path)
            images.own.append(path)
        except ImageError as error:
            images.unusable[path] = str(error)
    return images


def _is_diors(path: Path, folders: Mapping[str, Path]) -> bool:
    """Whether the reader will find just this image by its number: not the sample's of that name."""
    if not path.stem.isdecimal():
        return False
    is_test = voc_xml.dior_split(path) == "test"
    there = folders["DIOR_test" if is_test else "DIOR_trainval"] / path.name
    return there.is_file() and (not path.exists() or path.samefile(there))


def _own_names(paths: Sequence[str]) -> dict[str, str]:
    folders = [Path(path).absolute().parent for path in paths]
    try:
        top = Path(os.path.commonpath(folders))
    except ValueError:  # there are none, or on two drives of Windows
        top = Path()
    return image_names(paths, top)


def _item(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    origin = {
        name: row[name] for name in ("model", "prompt", "request", "generated") if name in row
    }
    return {
        "id": row["id"].removeprefix(f"{row['split']}/"),
        "image": names[row["path"]],
        "conversations": conversations(row["messages"], [row["path"]]),
        "provenance": {
            **origin,
            "checks": tally(row["verdicts"]),
            "reviews": row.get("reviews", []),
        },
    }
