"""What came of an import, for a person and as JSON: counts, and what was left out and why."""

from collections.abc import Iterator, Sequence
from typing import Any

from rs_gpt4v.files import AnyPath, printable
from rs_gpt4v_evaluation.imports.importing import Import
from rs_gpt4v_evaluation.imports.matching import LeftOut, Matches
from rs_gpt4v_evaluation.imports.rows import Rows

_SHOWN = 3  # of each kind; --json has all

_ADVICE = {
    "equal rows": "--pair-equal takes them in the order of the file: no score changes by it, but "
    "intervals over images and pictures may",
    "several rows": "an id would tell which row; so would image and question, where they differ",
    "several replies": "take out all but one of them",
    "unknown question id": "is --questions the file that was answered?",
}


def by_kind(left_out: Sequence[LeftOut]) -> dict[str, list[LeftOut]]:
    """What is left out, by the kind of reason; the most frequent kind first."""
    kinds: dict[str, list[LeftOut]] = {}
    for each in left_out:
        kinds.setdefault(each.kind, []).append(each)
    return dict(sorted(kinds.items(), key=lambda item: -len(item[1])))


def lines(done: Import) -> Iterator[str]:
    """The summary of an import, a line at a time."""
    file = done.file
    n = len(file.results) + len(file.unreadable)
    yield f"{n:,} results in the format {file.format.name}"
    if done.rows is None:
        yield "rows: not compared with ours, which --data-dir would do"
    else:
        yield from _matched(done.matches, done.rows)
    for kind, group in by_kind(done.left_out).items():
        yield f"left out, {kind}: {len(group):,}"
        yield from (
            f"  {printable(each.where)}: {printable(each.reason)}" for each in group[:_SHOWN]
        )
        if kind in _ADVICE:
            yield f"  {_ADVICE[kind]}"
    for each in done.damage:
        advice = "" if each.kind == "lost characters" else "; --repair mends it"
        yield f"damaged: {each.n:,} {each.part} hold {_DAMAGE[each.kind]}{advice}"
        yield f"  {printable(each.where)}: {printable(each.example[:200])!r}"


_DAMAGE = {
    "escapes": r"escapes such as \u00a0 as text",
    "entities": "entities of HTML such as &amp;",
    "wrong encoding": "UTF-8 that was read as another encoding",
    "lost characters": "signs in place of characters that were lost",
}


def _matched(matches: Matches, rows: Rows) -> Iterator[str]:
    missing = _missing(matches, rows)
    ways = ", ".join(f"{n:,} by {way}" for way, n in matches.ways.most_common())
    yield f"{len(matches.of_row):,} of {len(rows):,} rows have a reply: {ways or 'none'}"
    if missing:
        yield f"rows without one: {len(missing):,}, such as {', '.join(missing[:_SHOWN])}"
    if matches.repeated:
        yield f"repeated with the same reply: {matches.repeated:,}"
    if matches.interchangeable:
        yield (
            f"taken in the order of the file: {matches.interchangeable:,} replies to rows that ask "
            "and accept the same"
        )
    if matches.otherwise:
        yield (
            f"stated otherwise than in our rows: {len(matches.otherwise):,} (matched all the same; "
            f"is it the same release{', and the right --box-format' if rows.has_boxes else ''}?)"
        )
        yield from (f"  {each.where}: {each.reason}" for each in matches.otherwise[:_SHOWN])


def _missing(matches: Matches, rows: Rows) -> list[str]:
    return [own for row, own in enumerate(rows.ids) if row not in matches.of_row]


def as_json(done: Import, path: AnyPath, out: AnyPath) -> dict[str, Any]:
    """The same, with everything that is left out."""
    result: dict[str, Any] = {
        "file": str(path),
        "out": str(out),
        "format": done.file.format.name,
        "model": done.model,
        "results": len(done.file.results) + len(done.file.unreadable),
        "written": done.written,
        "verified": done.rows is not None,
        "left_out": [each._asdict() for each in done.left_out],
        "damage": [each._asdict() for each in done.damage],
    }
    if done.rows is not None:
        matches = done.matches
        result |= {
            "rows": len(done.rows),
            "matched_by": dict(matches.ways),
            "missing": _missing(matches, done.rows),
            "repeated": matches.repeated,
            "interchangeable": matches.interchangeable,
            "stated_otherwise": [each._asdict() for each in matches.otherwise],
        }
    return result
