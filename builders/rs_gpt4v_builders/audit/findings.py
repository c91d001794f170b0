"""What an audit finds, and the audit itself."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from rs_gpt4v.files import AnyPath
from rs_gpt4v_builders import members, usable
from rs_gpt4v_builders.audit.characters import OddCharacter, odd_characters
from rs_gpt4v_builders.audit.images import Images, cache_in, read_images
from rs_gpt4v_builders.audit.matching import matches, near_pairs
from rs_gpt4v_builders.audit.rows import Part, load_parts
from rs_gpt4v_builders.folder.source import NAME as FOLDER
from rs_gpt4v_builders.sources.source import SourceNotFoundError


@dataclass(frozen=True, slots=True)
class Pair:
    """An image that is in two places.

    Args:
        image: Path of the image on the side that is learned from.
        other: Path on the other side.
        kind: "same file", "same bytes", "same pixels" or "near"; "name" or "number" where the one
            picture is not there, and only the names of the files are alike.
        agreement: Correlation of their edges; 1 of the same picture, 0 of a mere name.
        rows: Ids of the rows about the image.
        other_rows: Ids of the rows about the other.
    """

    image: str
    other: str
    kind: str
    agreement: float
    rows: list[str]
    other_rows: list[str]


@dataclass(frozen=True, slots=True)
class SharedQuestion:
    """A question about the same picture on both sides.

    Args:
        question: Trimmed, in lower case.
        row: Id of the row that is learned from.
        other_row: Id on the other side.
        same_answer: Whether the answer is the same too.
    """

    question: str
    row: str
    other_row: str
    same_answer: bool


@dataclass(frozen=True, slots=True)
class SharedText:
    """A sentence that is in both, and nothing is known of the image.

    Args:
        text: An answer or caption, trimmed and in lower case.
        row: Id of the row that is learned from.
        other_row: Id on the other side.
    """

    text: str
    row: str
    other_row: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two splits share.

    Args:
        left: What is learned from: ``vqa_hr/train``, or a published mixture by its file's name.
        right: The other: a test split of any config, or another split of the same config.
        pairs: For each image of ``left`` that is in ``right``, the strongest match.
        questions: Questions that both ask about a shared image; captions ask none, but count with
            a mixture, as what they say.
        texts: With a mixture, sentences about no image that is shared.
    """

    left: str
    right: str
    pairs: list[Pair]
    questions: list[SharedQuestion]
    texts: list[SharedText] = field(default_factory=list)

    @property
    def is_leak(self) -> bool:
        """Whether rows of ``left`` teach what ``right`` tests."""
        is_trained_on = "/" not in self.left or self.left.endswith("/train")
        return is_trained_on and self.right.split("/")[1].startswith("test")

    @property
    def rows(self) -> int:
        """Rows of ``left`` about shared images."""
        return sum(len(pair.rows) for pair in self.pairs)

    @property
    def other_images(self) -> int:
        """Images of ``right`` that are shared."""
        return len({pair.other for pair in self.pairs})


@dataclass(frozen=True, slots=True)
class Repeat:
    """Rows of one split that say or ask the same about the same picture.

    Args:
        text: What they say or ask.
        ids: Their ids.
        answers: The different answers; a question with several contradicts itself.
    """

    text: str
    ids: list[str]
    answers: list[str]

    @property
    def contradicts(self) -> bool:
        """Whether the answers differ."""
        return len(self.answers) > 1


@dataclass(frozen=True, slots=True)
class Repeats:
    """What one split has more than once.

    Args:
        part: ``vqa_hr/train``.
        rows: Rows in all.
        images: Distinct pictures in all.
        duplicates: Rows with the same messages about the same picture.
        questions: Questions asked more than once about a picture, duplicates included.
    """

    part: str
    rows: int
    images: int
    duplicates: list[Repeat]
    questions: list[Repeat]

    @property
    def duplicate_rows(self) -> int:
        """Rows that an earlier row says already."""
        return sum(len(same.ids) - 1 for same in self.duplicates)

    @property
    def contradictions(self) -> int:
        """Questions with several answers."""
        return sum(asked.contradicts for asked in self.questions)


@dataclass(frozen=True, slots=True)
class Compared:
    """A published mixture, or a file of hashes, and how much of it could be compared.

    Args:
        file: Its path.
        rows: Items, or hashes, in it.
        images: Different images that it names.
        by_picture: Of these, how many pictures are known: by themselves, or by their hashes.
        unreadable: Why items are none, each with its place; they were not compared.
    """

    file: str
    rows: int
    images: int
    by_picture: int
    unreadable: list[str]


@dataclass(frozen=True, slots=True)
class Audit:
    """All findings.

    Args:
        overlaps: Between splits; those without shared images are left out.
        repeats: Within each split.
        absent: Configs that were not audited, and why.
        characters: Characters that nobody sees, or that look like others.
        against: Further configs, which were compared with those that were audited.
        compared: Files that the audited splits were compared with; nothing else was looked for.
    """

    overlaps: list[Overlap]
    repeats: list[Repeats]
    absent: dict[str, str]
    characters: list[OddCharacter] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)

    @property
    def leaks(self) -> list[Overlap]:
        """Training images of any config in a test split of any config."""
        return [overlap for overlap in self.overlaps if overlap.is_leak]

    @property
    def straddles(self) -> list[Overlap]:
        """Images in several splits of one config."""
        return [o for o in self.overlaps if o.left.split("/")[0] == o.right.split("/")[0]]


def audit(
    configs: Sequence[str] = (),
    cache: AnyPath | None = None,
    *,
    releases: AnyPath | None = None,
    folder: Mapping[str, Any] | None = None,
    **options: Any,
) -> Audit:
    """Look for leakage and repetition in ``configs``: groups, configs, or all that are present.

    Args:
        configs: What to audit; what is named here must be there, of all else what can be built.
        cache: File of what is known of each image; default: in the cache folder of `datasets`.
        releases: A data root; each of ``configs`` is also compared with all releases there.
        folder: Options of the config "folder" alone.
        options: Options of ``load_dataset("rs_gpt4v", ...)``, such as ``data_dir``.

    Raises:
        ValueError: There are ``releases`` and no ``configs``, or one of these is there again.
        SourceNotFoundError: A named release is absent, or no config can be built.
        AnnotationError: An annotation file of a named config is damaged.
        RecordError: A record of a named config cannot be used.
    """
    cache = None if cache is None else Path(cache)
    releases = None if releases is None else Path(releases)
    named = dict.fromkeys(member for config in configs for member in members(config))
    wanted = with_options(named or usable(), folder, options)
    further = _further(releases, named, options) if releases else {}
    parts, paths, absent = load_parts(wanted | further, absent_allowed=not configs)
    images = read_images(paths, cache or cache_in())
    near = near_pairs(
        images,
        all_images([part for part in parts if not part.is_test]),
        all_images([part for part in parts if part.split != "train"]),
    )
    audited = [part for part in parts if part.config in wanted]
    overlaps = [
        overlap(images, matches_of(images, near, left, right), left, right)
        for left, right in _to_compare(parts)
        if left in audited or right in audited
    ]
    return Audit(
        [item for item in overlaps if item.pairs],
        [_repeats(images, part) for part in audited],
        absent,
        [item for part in audited for item in odd_characters(part)],
        list(further),
    )


def with_options(
    configs: Iterable[str], folder: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The options of ``load_dataset`` by config; ``folder`` are those of the config alone."""
    return {name: {**options, **(folder or {} if name == FOLDER else {})} for name in configs}


def _further(
    root: Path, named: Iterable[str], options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The configs of the releases in ``root``, each with its options."""
    there = [name for name, config in usable().items() if config.source.find(root)]
    if not named:
        raise ValueError("--against compares your own rows with releases: name folder")
    if not there:
        raise SourceNotFoundError(
            f"--against {root}: none of the releases is there; `rs-gpt4v sources --data-dir "
            f"{root}` says what is expected"
        )
    if twice := [name for name in named if name in there]:
        raise ValueError(f"--against {root} has {', '.join(twice)} as well: name only folder")
    return {name: {**options, "data_dir": str(root)} for name in there}


def all_images(parts: Sequence[Part]) -> np.ndarray:
    """The positions of the images of all ``parts``, each once."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *(part.image for part in parts)]))


def _to_compare(parts: list[Part]) -> Iterator[tuple[Part, Part]]:
    """Train of any config with test of any, and the splits of each config with each other."""
    for left, right in itertools.permutations(parts, 2):
        own = left.config == right.config
        leak = left.split == "train" and right.is_test
        straddle = own and (left.split, right.split) == ("train", "validation")
        if leak or straddle or (own and left.split == "validation" and right.is_test):
            yield left, right


def matches_of(images: Images, near: pd.DataFrame, left: Part, right: Part) -> pd.DataFrame:
    """`matches` of the images of two splits."""
    return matches(images, np.unique(left.image), np.unique(right.image), near)


def overlap(images: Images, matched: pd.DataFrame, left: Part, right: Part) -> Overlap:
    """What two splits share, from the matches of their images."""
    rows = _ids_by_image(left, matched["image"])
    other_rows = _ids_by_image(right, matched["other"])
    pairs = [
        Pair(
            images.paths[image],
            images.paths[other],
            kind,
            round(float(agreement), 3),
            rows[image],
            other_rows[other],
        )
        for image, other, kind, agreement in matched.itertuples(index=False)
    ]
    return Overlap(left.name, right.name, pairs, _shared_questions(images, matched, left, right))


def _ids_by_image(part: Part, images: Any) -> dict[int, list[str]]:
    """The ids of the rows about each of some images."""
    rows = np.flatnonzero(np.isin(part.image, images))
    ids: dict[int, list[str]] = {}
    for image, id_ in zip(part.image[rows].tolist(), _ids(part, rows), strict=True):
        ids.setdefault(image, []).append(id_)
    return ids


def _shared_questions(
    images: Images, matched: pd.DataFrame, left: Part, right: Part
) -> list[SharedQuestion]:
    """The questions of ``left`` that are asked in ``right`` about the same image, each once."""
    asked: Any
    other: Any
    asked, other = (
        part.turns.assign(image=part.image[part.turns["row"]]) for part in (left, right)
    )
    asked = asked.drop_duplicates(["row", "question"]).merge(
        matched[["image", "other"]], on="image"
    )
    asked["picture"] = images.pixels[asked["other"]]
    other["picture"] = images.pixels[other["image"]]
    # Where it is asked several times there, the same answer counts, or else the first.
    same = other.drop_duplicates(["picture", "question", "answer"])
    same = same[["picture", "question", "answer", "row"]].rename(columns={"row": "same_row"})
    first = other.drop_duplicates(["picture", "question"])
    first = first[["picture", "question", "row"]].rename(columns={"row": "first_row"})
    shared = asked.merge(first, on=["picture", "question"])
    shared = shared.merge(same, on=["picture", "question", "answer"], how="left")
    other_rows = shared["same_row"].fillna(shared["first_row"])
    columns = zip(
        shared["question"],
        _ids(left, shared["row"]),
        _ids(right, other_rows),
        shared["same_row"].notna(),
        strict=True,
    )
    return [SharedQuestion(*values) for values in columns]


def _ids(part: Part, rows: Any) -> list[str]:
    return part.ids.take(pa.array(np.asarray(rows, np.int64))).to_pylist()


def _repeats(images: Images, part: Part) -> Repeats:
    picture = images.pixels[part.image]
    said = pd.DataFrame({"row": np.arange(len(picture)), "text": part.texts.to_pandas()})
    said["picture"] = picture
    asked = part.turns.rename(columns={"question": "text"})
    asked["picture"] = picture[asked["row"]]
    return Repeats(
        part.name,
        len(picture),
        len(np.unique(picture)),
        list(_repeated(part, said.assign(answer=""))),
        list(_repeated(part, asked)),
    )


def _repeated(part: Part, said: Any) -> Iterator[Repeat]:
    """Groups of rows with the same picture and text, in the order of their first rows."""
    several = said[said.duplicated(["picture", "text"], keep=False)]
    several = several.assign(id=_ids(part, several["row"]))
    groups = several.groupby(["picture", "text"], sort=False).agg({"id": list, "answer": list})
    for (_, text), ids, answers in groups.itertuples():
        different = [answer for answer in dict.fromkeys(answers) if answer]
        yield Repeat(text, list(dict.fromkeys(ids)), different)
