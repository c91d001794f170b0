"""The annotation files of a user's folder: which there are, of which layout, for which split."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rs_gpt4v.files import printable, relative
from rs_gpt4v_builders.folder import (
    box_layouts,
    caption_files,
    class_folders,
    dialogues,
    tables,
)
from rs_gpt4v_builders.folder.box_files import is_beside_labels
from rs_gpt4v_builders.folder.image_names import walk
from rs_gpt4v_builders.folder.layout import SPLITS, SUFFIXES, Candidate, Layout, is_text
from rs_gpt4v_builders.sources.reading import AnnotationError

logger = logging.getLogger(__name__)

DataFiles = str | Sequence[str] | Mapping[str, str | Sequence[str]]
"""Annotation files, or those of each split, as seen from the folder."""

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        dialogues.LLAVA,
        dialogues.MESSAGES,
        dialogues.INSTRUCTIONS,
        *dialogues.TOOLS,
        tables.CAPTIONS,
        tables.QUESTIONS,
        caption_files.KARPATHY,
        caption_files.COCO_CAPTIONS,
        *box_layouts.LAYOUTS,
        class_folders.CLASS_FOLDERS,
    )
}

_NAME_ONE = 'Give data_files={"train": ..., "test": ...}'
_SHOWN = 5  # names in a message


class Annotations(NamedTuple):
    """The annotation files, or folders of them, of each split, and the one layout of all.

    ``stated`` has the splits of each file that states those of its records.
    """

    layout: Layout
    files: dict[str, list[Path]]
    stated: dict[Path, tuple[str, ...]]


def find_annotations(
    folder: Path,
    layout: str = "auto",
    data_files: DataFiles | None = None,
    columns: Mapping[str, str] | None = None,
) -> Annotations:
    """What is annotated in ``folder``.

    Args:
        folder: The user's.
        layout: One of `LAYOUTS`, or "auto": recognise it by the files' content.
        data_files: The annotation files; None: find them.
        columns: The user's names of columns, by ours.

    Raises:
        AnnotationError: There are none, or they are of several layouts or of unclear splits.
        FileNotFoundError: One of ``data_files`` is not there.
    """
    if data_files is not None:
        named = _given(folder, data_files)
        of_each = {path: _layouts(path, layout, columns) or [None] for path in named}
        found = _one_layout(folder, of_each, layout)
        stated = _stated(found, named, columns or {})
        if isinstance(data_files, Mapping):
            files = {split: _paths(folder, names) for split, names in data_files.items()}
            return Annotations(found, _checked(files, stated), stated)
        return Annotations(found, _by_split(folder, named, stated), stated)
    if layout == class_folders.CLASS_FOLDERS.name:
        return _classes(folder)
    candidates = list(_candidates(folder))
    of_each = {path: _layouts(path, layout, columns) for path in candidates}
    recognised = {path: layouts for path, layouts in of_each.items() if layouts}
    others = [path for path in candidates if not of_each[path]]
    if not recognised and layout == "auto" and _is_only_classes(folder, others):
        return _classes(folder)
    found = _one_layout(folder, recognised, layout, others)
    others = [path for path in others if path.is_file() or not is_beside_labels(path)]
    if others:
        message = "%s: not of layout %s, and not read: %s"
        logger.warning(message, folder, found.name, _names(others, folder))
    stated = _stated(found, list(recognised), columns or {})
    return Annotations(found, _by_split(folder, list(recognised), stated), stated)


def split_of(path: Path, folder: Path) -> str | None:
    """The split that a file's name in ``folder`` says, or else the nearest folder's; or None.

    Raises:
        AnnotationError: A name says two.
    """
    for part in reversed(path.relative_to(folder).parts):
        words = re.findall(r"[a-z]+", part.lower())
        splits = {SPLITS[word] for word in words if word in SPLITS}
        if len(splits) > 1:
            raise AnnotationError(f"{path}: its name says {' and '.join(splits)}. {_NAME_ONE}")
        if splits:
            return splits.pop()
    return None


def _given(folder: Path, data_files: DataFiles) -> list[Path]:
    """The files that the user chose, each once."""
    some = data_files.values() if isinstance(data_files, Mapping) else [data_files]
    return list(dict.fromkeys(path for names in some for path in _paths(folder, names)))


def _stated(
    layout: Layout, paths: Sequence[Path], columns: Mapping[str, str]
) -> dict[Path, tuple[str, ...]]:
    splits = {path: layout.splits(Candidate(path), columns) for path in paths}
    return {path: some for path, some in splits.items() if some}


def _checked(
    files: Mapping[str, list[Path]], stated: Mapping[Path, tuple[str, ...]]
) -> dict[str, list[Path]]:
    """The user's own splits, as far as the files do not state others."""
    for split, paths in files.items():
        for path in paths:
            if path in stated and split not in stated[path]:
                raise AnnotationError(
                    f"data_files: {path} is given for {split!r}, and states the splits of its "
                    f"records itself: {', '.join(stated[path])}"
                )
    return {split: paths for split, paths in files.items() if paths}


def _paths(folder: Path, names: str | Sequence[str]) -> list[Path]:
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list | tuple) or not all(
        isinstance(name, str | Path) for name in names
    ):
        raise ValueError(
            f"data_files: found {names!r}, expected a file's name, a list of names, or these by "
            "split"
        )
    paths = [folder / Path(name).expanduser() for name in names]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"data_files: {path} is not there")
        if not (path.is_file() or path.is_dir()):
            raise ValueError(f"data_files: {path} is no regular file and no folder")
    return paths


def _candidates(folder: Path) -> Iterator[Path]:
    """The files that may hold annotations, and the folders of label files."""
    for inside, names in walk(folder):
        yield from (folder / inside / name for name in names if name.lower().endswith(SUFFIXES))
        if any(name.lower().endswith((".txt", ".xml")) for name in names):
            yield folder / inside


def _layouts(path: Path, layout: str, columns: Mapping[str, str] | None) -> list[Layout]:
    """What a file may be; where the layout is named, whether it is that."""
    candidate = Candidate(path, columns)
    recognised = [one for one in LAYOUTS.values() if one not in dialogues.TOOLS]
    known = recognised if layout == "auto" else [LAYOUTS[layout]]
    while not (found := [one for one in known if one.matches(candidate)]) and candidate.items[1:]:
        del candidate.items[0]  # the first item may be broken
    if found and not is_text(str(path)):
        raise AnnotationError(f"{str(path)!a}: its name is not UTF-8: rename it")
    return found


def _one_layout(
    folder: Path,
    of_each: Mapping[Path, Sequence[Layout | None]],
    layout: str,
    others: Sequence[Path] = (),
) -> Layout:
    """The layout of all files.

    Raises:
        AnnotationError: There is none, or more than one.
    """
    examples = {one: path for path, layouts in of_each.items() for one in layouts}
    if layout != "auto" and of_each:
        return LAYOUTS[layout]
    if len(examples) == 1 and (only := next(iter(examples))):
        return only
    if not examples or None in examples:
        unknown = [path for path, layouts in of_each.items() if None in layouts] or others
        seen = f" It has {_reasons(unknown, folder)}." if unknown else ""
        known = ", ".join(LAYOUTS) if layout == "auto" else layout
        raise AnnotationError(
            f"{folder}: no annotations of a known layout ({known}) are recognised by their "
            f"content.{seen} Name the files and their layout: data_files=..., layout=..."
        )
    seen = ", or ".join(
        f"{one.name} ({_name(path, folder)})" for one, path in examples.items() if one
    )
    raise AnnotationError(
        f"{folder}: it may be read as {seen}: say which with layout=..., or name the files with "
        "data_files=..."
    )


def _by_split(
    folder: Path, paths: Sequence[Path], stated: Mapping[Path, tuple[str, ...]]
) -> dict[str, list[Path]]:
    """Files by the split that they state, or else that their names say.

    All are for training where no name says any.
    """
    named = {
        path: split_of(path, folder) if path.is_relative_to(folder) else None
        for path in paths
        if path not in stated
    }
    unclear = [path for path, split in named.items() if split is None]
    if unclear and len(unclear) < len(paths):
        raise AnnotationError(
            f"{folder}: the names of {_names(unclear, folder)} say no split, and others do. "
            f"{_NAME_ONE}"
        )
    by_split: dict[str, list[Path]] = {}
    for split in dict.fromkeys(SPLITS.values()):
        chosen = [p for p in paths if split in stated.get(p, (named.get(p) or "train",))]
        if chosen:
            by_split[split] = chosen
    return by_split


def _is_only_classes(folder: Path, others: Sequence[Path]) -> bool:
    """Whether there are images in folders, and no file that might say more of them."""
    return not any(path.is_file() for path in others) and len(class_folders.classes(folder)) > 1


def _classes(folder: Path) -> Annotations:
    """Folders of classes, in a folder for each split or without."""
    splits = {path: SPLITS.get(path.name.lower()) for path in sorted(folder.iterdir())}
    by_split: dict[str, list[Path]] = {}
    for split in dict.fromkeys(SPLITS.values()):
        paths = [path for path, named in splits.items() if named == split]
        if some := [path for path in paths if class_folders.classes(path)]:
            by_split[split] = some
    return Annotations(class_folders.CLASS_FOLDERS, by_split or {"train": [folder]}, {})


def _names(paths: Sequence[Path], folder: Path) -> str:
    shown = ", ".join(_name(path, folder) for path in paths[:_SHOWN])
    return shown + f" and {len(paths) - _SHOWN:,} more" * (len(paths) > _SHOWN)


def _reasons(paths: Sequence[Path], folder: Path) -> str:
    """The names of files, the first ones with why they are not recognised."""
    whys = [(path, Candidate(path).why_unknown()) for path in paths[:_SHOWN]]
    shown = "; ".join(_name(path, folder) + f" ({why})" * bool(why) for path, why in whys)
    return shown + f" and {len(paths) - _SHOWN:,} more" * (len(paths) > _SHOWN)


def _name(path: Path, folder: Path) -> str:
    return printable(relative(path, folder) + "/" * path.is_dir())
