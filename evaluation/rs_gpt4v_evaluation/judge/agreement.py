"""Can a judge be trusted? Its agreement with people, and with a second judge.

People decide on the review page: `review_queue` writes answers that were judged as a queue for
`rs-gpt4v review`, whose reviews files are then compared with the judge's scores.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, TypedDict

import numpy as np

from rs_gpt4v.agreement import kappa_sums, rank_sums, weighted_kappa_sums
from rs_gpt4v.bootstrap import RESAMPLES, Sums, intervals, joined
from rs_gpt4v.files import AnyPath, whole_lines
from rs_gpt4v.reviews import read_decisions, standing
from rs_gpt4v_evaluation.judge.lines import ScoredPair
from rs_gpt4v_evaluation.judge.pointwise import judged_lines
from rs_gpt4v_evaluation.judge.review_queue import by_key
from rs_gpt4v_evaluation.rs_judge.measure import GROUPS, HIGHEST, LOWEST

FEW_ANSWERS = 50
FEW_IMAGES = 30
_DECISIONS = {"reject": 0, "edit": 1, "accept": 2}

LABELS = {
    "kappa_kept": "kappa of kept or rejected",
    "kappa_levels": "weighted kappa of accept, edit, reject",
    "kappa_scores": "weighted kappa of the scores",
    "rank_correlation": "rank correlation (Spearman)",
}
MEANING = (
    "Kappa is 1 where two always agree and 0 where they agree as often as chance would make them; "
    "below 0.4 is often called weak, above 0.6 substantial. Weighted, a disagreement counts by the "
    "square of its size. The rank correlation asks only whether both put the answers in one order. "
    "Where people differ, no judge agrees with all of them: compare with their own agreement."
)


class Levels(NamedTuple):
    """From which score on a judge is taken to edit an answer at most, and to accept it.

    As the anchors of its prompt have it: from 8 "correct in all that matters", from 6 "the main
    point is correct, but something is missing or wrong".
    """

    edit: float = 6
    accept: float = 8

    def check(self) -> None:
        """Raise ValueError unless they are scores in their order."""
        if not LOWEST < self.edit <= self.accept <= HIGHEST:
            raise ValueError(
                f"levels are scores above {LOWEST} up to {HIGHEST}, that of an edit not above that "
                f"of an accept; got {self.edit:g} and {self.accept:g}"
            )


DEFAULT_LEVELS = Levels()


class Agreement(TypedDict):
    """Two raters on the answers of a group that both rated.

    ``scores`` by the keys of `LABELS`, None where chance explains all; ``intervals`` are their
    95 % intervals over images, of those that have one; ``warning`` says where the answers are few.
    """

    raters: tuple[str, str]
    kinds: tuple[str, str]
    group: str
    n: int
    images: int
    scores: dict[str, float | None]
    intervals: dict[str, tuple[float, float]]
    warning: str


@dataclass(frozen=True)
class _Rater:
    """Who rated, a "judge" or a "person", and the value of each answer by its id in a queue."""

    name: str
    kind: str
    values: Mapping[str, float]


def agreement(
    files: Sequence[AnyPath], levels: Levels = DEFAULT_LEVELS, resamples: int = RESAMPLES
) -> tuple[list[Agreement], list[str]]:
    """How far every two raters agree.

    Args:
        files: Files of `rs-gpt4v judge`, of one or several judges, and reviews files of a
            `review_queue`. Files of one judge, about several models, are taken together.
        levels: What a judge's score means as a decision.
        resamples: For the bootstrap of the intervals; 0 for none.

    Returns:
        For every two raters with answers in common, all answers and then each group of them; and
        what was left out, in words.

    Raises:
        PredictionFileError: A judged file is damaged.
        ReviewsError: A reviews file is damaged.
        ValueError: There are not two raters, or no two have an answer in common.
    """
    files = [Path(file) for file in files]
    raters, found, notes = _found(files, levels, resamples)
    if len(raters) < 2 or all(rater.kind == "person" for rater in raters):
        names = ", ".join(rater.name for rater in raters)
        raise ValueError(
            f"agreement is of a judge with another one or with people, got only {names}: add the "
            "file of a second judge, or a reviews file (rs-gpt4v agreement JUDGED --queue QUEUE)"
        )
    if not found:
        raise ValueError(" ".join(["no two raters have an answer in common.", *notes]))
    return found, notes


def agreement_in(files: Sequence[Path], resamples: int) -> tuple[list[Agreement], list[str]]:
    """The same of files of which no two need to have an answer in common.

    Raises:
        PredictionFileError: A judged file is damaged.
        ReviewsError: A reviews file is damaged.
    """
    _, found, notes = _found(files, DEFAULT_LEVELS, resamples)
    return found, notes


def _found(
    files: Sequence[Path], levels: Levels, resamples: int
) -> tuple[list[_Rater], list[Agreement], list[str]]:
    """The raters of files, their agreements, and what was left out."""
    levels.check()
    judged = {path: judged_lines(path) for path in files if not is_reviews(path)}
    lines = {key: line for own in judged.values() for key, line in by_key(own).items()}
    people = [rater for path in files if is_reviews(path) for rater in _people(path)]
    raters = [*_judges(judged), *people]
    found = [
        item for pair in combinations(raters, 2) for item in _groups(pair, lines, levels, resamples)
    ]
    notes = [
        f"{rater.name}: {len(rest):,} decisions do not count, as the judged files have no such "
        f"answer: {', '.join(sorted(rest)[:3])}"
        for rater in people
        if (rest := rater.values.keys() - lines.keys())
    ]
    return raters, found, notes


def is_reviews(path: Path) -> bool:
    """Whether the first line of a file is a reviewer's decision."""
    first = next(whole_lines(path), (0, b""))[1]
    return all(re.search(rb'"%s"\s*:' % name, first) for name in (b"decision", b"reviewer", b"of"))


def _judges(judged: Mapping[Path, list[ScoredPair]]) -> list[_Rater]:
    """A rater for each judge, with the mean of its scores of each answer."""
    values: list[tuple[Any, Path, dict[str, float]]] = []
    for path, lines in judged.items():
        judge = lines[0]["judge"]
        own = next((kept for known, _, kept in values if known == judge), None)
        if own is None:
            own = {}
            values.append((judge, path, own))
        for key, line in by_key(lines).items():
            scores = [v["value"] for v in line["verdicts"] if v["value"] is not None]
            if scores:
                own.setdefault(key, fmean(scores))
    names = [judge["model"] for judge, _, _ in values]
    return [
        _Rater(name if names.count(name) == 1 else f"{name} ({path})", "judge", own)
        for name, (_, path, own) in zip(names, values, strict=True)
    ]


def _people(path: Path) -> Iterator[_Rater]:
    """The reviewers of a file; what they skipped is not decided."""
    decisions = read_decisions(path)
    for reviewer in dict.fromkeys(decision["reviewer"] for decision in decisions):
        own = standing(row for row in decisions if row["reviewer"] == reviewer)
        yield _Rater(
            reviewer,
            "person",
            {
                id_: _DECISIONS[row["decision"]]
                for id_, row in own.items()
                if row["decision"] in _DECISIONS
            },
        )


def _groups(
    pair: tuple[_Rater, _Rater],
    lines: Mapping[str, ScoredPair],
    levels: Levels,
    resamples: int,
) -> Iterator[Agreement]:
    """Two raters on all their answers, and on each group where there are several."""
    keys = [key for key in lines if all(key in rater.values for rater in pair)]
    groups = {group: [key for key in keys if lines[key]["group"] == group] for group in GROUPS}
    parts = {group: own for group, own in groups.items() if own}
    for group, own in {"all": keys, **(parts if len(parts) > 1 else {})}.items():
        if own:
            yield _agreement(pair, group, [lines[key] for key in own], own, levels, resamples)


def _agreement(
    pair: tuple[_Rater, _Rater],
    group: str,
    lines: Sequence[ScoredPair],
    keys: Sequence[str],
    levels: Levels,
    resamples: int,
) -> Agreement:
    values = np.array([[rater.values[key] for rater in pair] for key in keys])
    about = [line["image"] or line["id"] for line in lines]
    sums = _sums(values, (pair[0].kind, pair[1].kind), levels)
    scores = {name: None if np.isnan(value) else value for name, value in sums.total().items()}
    defined = [name for name, value in scores.items() if value is not None]
    images = len(set(about))
    spread = intervals(_only(sums, defined), about, resamples) if resamples and images > 1 else {}
    return {
        "raters": (pair[0].name, pair[1].name),
        "kinds": (pair[0].kind, pair[1].kind),
        "group": group,
        "n": len(keys),
        "images": images,
        "scores": scores,
        "intervals": spread,
        "warning": _warning(len(keys), images),
    }


def _sums(values: np.ndarray, kinds: tuple[str, str], levels: Levels) -> Sums:
    """What is measured of two raters: of two judges by their scores, else by decisions."""
    ranks = rank_sums(values, "rank_correlation")
    if kinds == ("judge", "judge"):
        return joined([weighted_kappa_sums(values, "kappa_scores"), ranks])
    decided = values.copy()
    for column, kind in enumerate(kinds):
        if kind == "judge":
            decided[:, column] = np.searchsorted(levels, values[:, column], side="right")
    kept = (decided > 0).astype(int)
    return joined(
        [kappa_sums(kept, 2, "kappa_kept"), weighted_kappa_sums(decided, "kappa_levels"), ranks]
    )


def _only(sums: Sums, names: Sequence[str]) -> Sums:
    def scores(summed: np.ndarray) -> dict[str, np.ndarray]:
        every = sums.scores(summed)
        return {name: every[name] for name in names}

    return sums._replace(scores=scores)


def _warning(n: int, images: int) -> str:
    if n >= FEW_ANSWERS and images >= FEW_IMAGES:
        return ""
    return (
        f"only {n:,} answers about {images:,} images: a rough guide, as below {FEW_ANSWERS} "
        f"answers or {FEW_IMAGES} images"
    )


def to_lines(found: Sequence[Agreement], notes: Sequence[str], levels: Levels) -> list[str]:
    """The agreements as text."""
    lines = []
    for item in found:
        first, second = item["raters"]
        if item["group"] == "all":
            lines.append(f"{first} and {second}")
        lines.append(f"  {item['group']}: {item['n']:,} answers about {item['images']:,} images")
        lines += [f"    {LABELS[name]:40} {shown(item, name)}" for name in item["scores"]]
        if item["warning"]:
            lines.append(f"    CAUTION: {item['warning']}")
    return [*lines, *(f"NOTE: {note}" for note in notes), meaning(found, levels)]


def meaning(found: Sequence[Agreement], levels: Levels) -> str:
    """What the numbers mean, and what was made of scores."""
    if not any("person" in item["kinds"] for item in found):
        return MEANING
    return (
        f"{MEANING} A judge's score counts as accept from {levels.accept:g}, as edit from "
        f"{levels.edit:g}, else as reject."
    )


def shown(item: Agreement, name: str) -> str:
    """A value with its interval, as a table has it."""
    value = item["scores"][name]
    if value is None:
        return "not defined: chance explains all"
    if name not in item["intervals"]:
        return f"{value:.3f}"
    low, high = item["intervals"][name]
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
