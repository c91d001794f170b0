"""Which test images and questions a published mixture has: by pictures, hashes, names, words."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from rs_gpt4v.files import AnyPath
from rs_gpt4v.images import stem
from rs_gpt4v_builders import members, usable
from rs_gpt4v_builders.audit.findings import (
    Audit,
    Compared,
    Overlap,
    Repeats,
    all_images,
    matches_of,
    with_options,
)
from rs_gpt4v_builders.audit.hashes import hashed, read_hashes, write_hashes
from rs_gpt4v_builders.audit.images import (
    Known,
    cache_in,
    images_of,
    known_images,
)
from rs_gpt4v_builders.audit.matching import near_pairs
from rs_gpt4v_builders.audit.mixture import Mixture, read_mixture
from rs_gpt4v_builders.audit.rows import Part, load_parts
from rs_gpt4v_builders.audit.words import comparable, with_words
from rs_gpt4v_builders.folder.layout import Candidate
from rs_gpt4v_builders.folder.source import NAME as FOLDER


@dataclass(frozen=True, slots=True)
class _File:
    """One file to compare with.

    Args:
        parts: Its rows; `Part.image` is a position in ``paths``.
        paths: Of pictures, or the names of images.
        known: What an image is known by that is not there: its hash, or nothing at all.
        named: The images of which there is nothing but the name.
        compared: What is said of the file.
    """

    parts: list[Part]
    paths: list[str]
    known: dict[str, Known]
    named: list[str]
    compared: Compared


def contamination(
    configs: Sequence[str],
    against: AnyPath,
    cache: AnyPath | None = None,
    *,
    pictures: AnyPath | None = None,
    folder: Mapping[str, Any] | None = None,
    **options: Any,
) -> Audit:
    """Compare the test splits of ``configs`` with a published mixture.

    With a file of hashes, its test splits are compared with the training splits of ``configs`` too.

    Args:
        configs: Groups or configs; empty: all that are present.
        against: The mixture (see `read_mixture`), a file of hashes, or a folder of such files.
        cache: As of `audit`.
        pictures: The folder from which the mixture names its images; default: its own folder.
            Images that are not there are compared by name.
        folder: Options of the config "folder" alone.
        options: Options of ``load_dataset("rs_gpt4v", ...)``, such as ``data_dir``.

    Raises:
        AnnotationError: ``against`` cannot be read, or an annotation file of a named config.
        ValueError: ``pictures`` has none of the images; there is no split to compare with.
        SourceNotFoundError: A named release is absent, or no config can be built.
        RecordError: A record of a named config cannot be used.
    """
    against = Path(against)
    cache = None if cache is None else Path(cache)
    pictures = None if pictures is None else Path(pictures)
    files = [_read(path, pictures) for path in _files(against)]
    has_tests = any(part.is_test for file in files for part in file.parts)
    named = dict.fromkeys(member for config in configs for member in members(config))
    ours, paths, absent = load_parts(
        with_options(named or usable(), folder, options),
        absent_allowed=not configs,
        is_wanted=lambda split: has_tests or split.startswith("test"),
    )
    if not ours:
        raise ValueError(f"{', '.join(configs)}: there is no test split to compare with {against}")
    overlaps = [
        item
        for file in files
        for item in _overlaps(file, ours, paths, cache or cache_in())
        if item.pairs or item.texts
    ]
    return Audit(
        overlaps,
        [Repeats(part.name, len(part.ids), len(set(part.image)), [], []) for part in ours],
        absent,
        compared=[file.compared for file in files],
    )


def hash_images(
    configs: Sequence[str],
    out: AnyPath,
    cache: AnyPath | None = None,
    *,
    folder: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, int]:
    """Write the hashes of the images of test splits, and of all splits of the config "folder".

    Args:
        configs: Groups or configs; empty: all that are present.
        out: The file; see `rs_gpt4v_builders.audit.hashes`.
        cache: As of `audit`.
        folder: Options of the config "folder" alone.
        options: Options of ``load_dataset("rs_gpt4v", ...)``, such as ``data_dir``.

    Returns:
        How many images of each split are there.

    Raises:
        ValueError: There is no image.
    """
    out = Path(out)
    cache = None if cache is None else Path(cache)
    named = dict.fromkeys(member for config in configs for member in members(config))
    wanted = with_options(named or usable(), folder, options)
    parts, paths, _ = load_parts(wanted, absent_allowed=not configs)
    written = [part for part in parts if part.is_test or part.config == FOLDER]
    splits: dict[str, list[str]] = {}
    for part in written:
        for position in np.unique(part.image):
            splits.setdefault(paths[position], []).append(part.name)
    if not splits:
        raise ValueError(f"{', '.join(configs)}: there is no test split, so there are no hashes")
    root = options.get("data_dir")
    known = known_images(list(splits), cache or cache_in())
    write_hashes(out, splits, known, Path(os.path.realpath(root)) if root else None)
    return {part.name: len(np.unique(part.image)) for part in written}


def is_comparable(against: AnyPath) -> bool:
    """Whether something is a file to compare with, or a folder of hashes, and no data root."""
    against = Path(against)
    return bool(_files(against))


def _files(against: Path) -> list[Path]:
    """The files to compare with: the one, or those of hashes in a folder."""
    if not against.exists():
        raise FileNotFoundError(f"--against {against}: there is no such file or folder")
    if not against.is_dir():
        return [against]
    return [path for path in sorted(against.glob("*.jsonl")) if is_hash_file(path)]


def is_hash_file(path: Path) -> bool:
    """Whether a file begins as one of hashes does."""
    return path.suffix.lower() == ".jsonl" and "hashes" in Candidate(path).item


def _read(path: Path, pictures: Path | None) -> _File:
    if is_hash_file(path):
        return _of_hashes(path)
    mixture = read_mixture(path)
    root = pictures or path.parent
    found = {name: os.path.join(root, name) for name in mixture.names if name}  # noqa: PTH118
    there = {name: real for name, at in found.items() if (real := _file(at))}
    if pictures and not there:
        raise ValueError(
            f"{pictures} has none of the {len(found):,} images of {path}, such as "
            f"{next(iter(found), '')!a:.200}: give the folder from which they are named"
        )
    return _of_mixture(path, mixture, there)


def _file(path: str) -> str | None:
    return os.path.realpath(path) if os.path.isfile(path) else None  # noqa: PTH113


def _of_mixture(path: Path, mixture: Mixture, there: Mapping[str, str]) -> _File:
    """A mixture, of whose images ``there`` has the pictures."""
    paths = [there.get(name, name) for name in mixture.names]
    unknown = [name for name in mixture.names if name not in there]
    return _File(
        [replace(mixture.part, turns=comparable(mixture.part.turns))],
        paths,
        {name: _nameless(name) for name in unknown},
        [name for name in unknown if name],
        Compared(
            str(path),
            mixture.items,
            len(mixture.names) - ("" in mixture.names),
            len(there),
            mixture.unreadable,
        ),
    )


def _nameless(name: str) -> Known:
    """What an image is known by that is not there: nothing that another has."""
    own = b"no picture " + os.fsencode(name)
    return own, own, bytes(8), b""


def _of_hashes(path: Path) -> _File:
    """A file of hashes, a part for each of its splits."""
    names: list[str] = []
    known: dict[str, Known] = {}
    images: dict[str, list[int]] = {}
    for position, (line, own) in enumerate(read_hashes(path)):
        name = f"{path.name}: {line['image']}"
        names.append(name if name not in known else f"{name} ({position})")
        known[names[-1]] = own
        for split in line["splits"]:
            images.setdefault(split, []).append(position)
    parts = [_hash_part(path, split, images[split], names) for split in sorted(images)]
    compared = Compared(str(path), len(names), len(names), len(names), [])
    return _File(parts, names, known, [], compared)


def _hash_part(path: Path, split: str, images: list[int], names: list[str]) -> Part:
    config, _, name = split.rpartition("/")
    empty = pa.repeat(pa.scalar("", pa.string()), len(images))
    return Part(
        config=f"{path.name}:{config}",
        split=name,
        ids=pa.array([names[image] for image in images], pa.string()),
        image=np.array(images, np.int64),
        texts=empty,
        references=empty,
        turns=pd.DataFrame({"row": [], "question": [], "answer": []}).astype(
            {"row": np.int64, "question": str, "answer": str}
        ),
    )


def _overlaps(
    file: _File, ours: Sequence[Part], paths: Sequence[str], cache: Path
) -> Iterable[Overlap]:
    """What is in both of each pair of a part that is learned from and one that is a test."""
    position = {path: number for number, path in enumerate(paths)}
    at = np.array([position.setdefault(path, len(position)) for path in file.paths], np.int64)
    theirs = [replace(part, image=at[part.image]) for part in file.parts]
    images = images_of([*position], _known(position, file.known, cache))
    pairs = [
        (left, right)
        for some, others in ((theirs, ours), (ours, theirs))
        for left in some
        for right in others
        if right.is_test and not left.is_test
    ]
    if not pairs:
        raise ValueError(
            f"{file.compared.file} holds test splits alone: name a config with a training split, "
            "such as folder, to compare it with"
        )
    near = near_pairs(images, *(all_images(side) for side in zip(*pairs, strict=True)))
    named = _stems((position[name], name) for name in file.named)
    for left, right in pairs:
        matched = matches_of(images, near, left, right)
        if not named.empty:
            others = _stems((int(image), paths[int(image)]) for image in np.unique(right.image))
            matched = pd.concat([matched, _by_name(named, others)], ignore_index=True)
        yield with_words(images, matched, left, right)


def _known(position: Mapping[str, int], stated: Mapping[str, Known], cache: Path) -> list[Known]:
    """What all images are known by: pictures by thumbnails, unless there are mere hashes among."""
    pictures = [path for path in position if path not in stated]
    known = dict(zip(pictures, known_images(pictures, cache), strict=True))
    if any(own[-1] for own in stated.values()):
        known = {path: hashed(own) for path, own in known.items()}
    length = max((len(own[-1]) for own in known.values()), default=0)
    known |= {path: (*own[:-1], own[-1] or bytes(length)) for path, own in stated.items()}
    return [known[path] for path in position]


def _stems(names: Iterable[tuple[int, str]]) -> Any:
    """Columns ``image`` and ``stem``: the file's name without folder, suffix and case."""
    files = ((image, name.replace("\\", "/").rpartition("/")[2]) for image, name in names)
    rows = [(image, stem(file).lower()) for image, file in files]
    return pd.DataFrame(rows, columns=["image", "stem"])


def _by_name(named: Any, others: Any) -> Any:
    """All pairs of images with one file name, in the form of `matches`."""
    both = named.merge(others.rename(columns={"image": "other"}), on="stem")
    is_number = both["stem"].str.fullmatch(r"[0-9]+").astype(bool)
    both["kind"] = np.where(is_number, "number", "name")
    return both.assign(agreement=0.0)[["image", "other", "kind", "agreement"]]
