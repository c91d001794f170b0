"""Which row of a split each result of others belongs to; what cannot be said is said.

In this order: by a row's id; by the image and the question about it; in the order of the file,
where every result agrees with its row; by question and true answers. A result that fits several
rows belongs to none of them.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rs_gpt4v_evaluation.imports.finding import Finder, Fit
from rs_gpt4v_evaluation.imports.formats import Result
from rs_gpt4v_evaluation.imports.rows import Rows


class LeftOut(NamedTuple):
    """A result that is not used: where it stands, what kind of reason, and the reason."""

    where: str
    kind: str
    reason: str


@dataclass
class Matches:
    """What belongs to what.

    Attributes:
        of_row: The result of each row that has one, by the row's place in the split.
        ways: How many results were matched by what.
        left_out: Results that are not used.
        repeated: Results that say again, in the same words, what an earlier one says.
        interchangeable: Rows whose reply may be that of another row which asks and accepts the
            same.
        otherwise: Results of which the file states another question or truth than their row,
            although it names the row by its id, or by image and question.
    """

    of_row: dict[int, Result] = field(default_factory=dict)
    ways: Counter[str] = field(default_factory=Counter)
    left_out: list[LeftOut] = field(default_factory=list)
    repeated: int = 0
    interchangeable: int = 0
    otherwise: list[LeftOut] = field(default_factory=list)


_Group = list[tuple[str, Result]]
"""Results that fit the same rows, each with what they were found by."""


def match(results: Sequence[Result], rows: Rows, *, pair_equal: bool = False) -> Matches:
    """Find the row of each result.

    Args:
        results: Of one file.
        rows: Of the split that they are said to be of.
        pair_equal: Where as many results as rows ask and accept the same, and nothing else tells
            the rows apart, take them in the order of the file.
    """
    finder = Finder(results, rows)
    if finder.is_in_order():
        of_row = dict(enumerate(results))
        return Matches(of_row, Counter({"the order of the file": len(results)}))
    found = Matches()
    groups: dict[tuple[int, ...], _Group] = defaultdict(list)
    for result in results:
        fit = finder.fit(result)
        if isinstance(fit, Fit):
            groups[fit.rows].append((fit.way, result))
        else:
            found.left_out.append(LeftOut(result.where, *fit))
    for places in sorted(groups, key=len):  # those that can be one row's only come first
        _settle(places, groups[places], rows, found, pair_equal=pair_equal)
    found.otherwise = [
        LeftOut(result.where, "stated otherwise", difference)
        for row, result in found.of_row.items()
        if (difference := finder.difference(result, row))
    ]
    return found


def _settle(
    places: tuple[int, ...], group: _Group, rows: Rows, found: Matches, *, pair_equal: bool
) -> None:
    """Give the results of ``group`` to these rows, all of which they fit alike, if that is sure."""
    replies = {result.reply for _, result in group}
    if len(places) == 1 and len(replies) == 1:
        found.repeated += len(group) - 1
        del group[1:]
    elif doubt := _doubt(places, group, rows, found, pair_equal=pair_equal):
        found.left_out += [LeftOut(result.where, *doubt) for _, result in group]
        return
    elif len(replies) > 1:
        found.interchangeable += len(group)
    for row, (way, result) in zip(places, group, strict=True):
        found.of_row[row] = result
        found.ways[way] += 1


def _doubt(
    places: tuple[int, ...], group: _Group, rows: Rows, found: Matches, *, pair_equal: bool
) -> tuple[str, str] | None:
    """Why it cannot be said which of these rows a result belongs to: kind, and reason."""
    names = _first([rows.ids[row] for row in places])
    if len(places) == 1:
        where = _first([result.where.rpartition(", ")[2] for _, result in group])
        return "several replies", f"{len(group)} different replies to {names} ({where})"
    several = f"it fits {len(places):,} rows: {names}"
    is_taken = any(row in found.of_row for row in places)
    if is_taken or len(group) != len(places) or not rows.are_equal(places):
        return "several rows", several
    if pair_equal or len({result.reply for _, result in group}) == 1:
        return None
    return "equal rows", f"{several}, which ask and accept the same"


def _first(texts: Sequence[str]) -> str:
    return ", ".join([*texts[:3], *(["..."] if len(texts) > 3 else ())])
