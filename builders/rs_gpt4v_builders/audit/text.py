"""The findings in words: a table for the terminal, and what they mean."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rs_gpt4v_builders.audit.characters import OddCharacter
from rs_gpt4v_builders.audit.findings import Audit, Compared, Overlap, Pair, Repeats

KINDS = {
    "same file": "one file, named by both",
    "same bytes": "a copy of the file",
    "same pixels": "another file, the same pixels (a lossless copy)",
    "near": "nearly the same picture (saved again, scaled, brightened)",
}
NAME_KINDS = {
    "name": "the files are called the same, and the picture was not there to be compared",
    "number": "the same, and the name is a mere number, as files of any dataset have",
}
"""Of a mixture whose pictures are not there: weaker than any of `KINDS`."""

_NOTES = (
    (
        ("vqa_rsivqa",),
        (),
        "RSIVQA has no splits and asks about images of HRRSD, DOTA, RSICD, Sydney-Captions and "
        "UCM-Captions. The paper's rows are on HRRSD's training images alone; protocol=\"release\" "
        "trains on all of them, test images of the caption releases included.",
    ),
    (
        ("grounding", "region_caption"),
        ("grounding", "region_caption"),
        "The published lists of DIOR-RSVG part objects, not images, so their splits share images. "
        "The paper's protocol cuts by image, at DIOR's own 11725, and shares none.",
    ),
    (
        ("conversation", "detail"),
        ("grounding", "region_caption"),
        "RS-GPT4V-Instruct talks about DIOR's images, as DIOR-RSVG does. Under the paper's "
        "protocol both train on images up to 11725 and test on later ones: other pairs break it.",
    ),
    (
        ("grounding", "region_caption"),
        ("conversation", "detail"),
        "RS-GPT4V-Instruct is tested on DIOR's images, and DIOR-RSVG trains on DIOR's. Under the "
        "paper's protocol the one tests on images after 11725, the other trains on those before.",
    ),
)
"""What explains a leak: training configs, test configs (none: any), and the words."""


def notes(audit: Audit) -> list[str]:
    """What is known of why the found leaks are there."""
    sides = [(_config(leak.left), _config(leak.right)) for leak in audit.leaks]
    return [
        words
        for train, test, words in _NOTES
        if any(left in train and (not test or right in test) for left, right in sides)
    ]


def _config(part: str) -> str:
    return part.split("/", maxsplit=1)[0]


def kinds(pairs: Sequence[Pair]) -> str:
    """How many pairs are of which kind: ``12 same file, 1 near``."""
    counted = Counter(pair.kind for pair in pairs)
    return ", ".join(
        f"{counted[kind]:,} {kind_name(kind)}" for kind in (*KINDS, *NAME_KINDS) if kind in counted
    )


def kind_name(kind: str) -> str:
    """What a pair's kind is called; a mere name is always said to be one."""
    return {"name": "by name", "number": "by name (a number)"}.get(kind, kind)


def by_picture(pairs: Iterable[Pair]) -> int:
    """How many images of the right side are in the left by their pictures, not by mere names."""
    return len({pair.other for pair in pairs if pair.kind in KINDS})


def by_name(pairs: Sequence[Pair]) -> int:
    """How many images of the right side are in the left by name alone."""
    return len({pair.other for pair in pairs}) - by_picture(pairs)


def to_text(audit: Audit) -> str:
    """The findings as tables, with the first ids of each kind of repetition."""
    if audit.compared:
        return _compared_text(audit)
    straddles = [overlap for overlap in audit.straddles if not overlap.is_leak]
    repeats = [item for item in audit.repeats if item.duplicates or item.questions]
    said = [
        _table("Training images in test splits", _OVERLAPS, map(_overlap_row, audit.leaks)),
        _table("Images in other splits of a config", _OVERLAPS, map(_overlap_row, straddles)),
        _table("Repetition within splits", _REPEATS, map(_repeats_row, repeats)),
        _table(
            "Characters that nobody sees, or that look like others",
            _CHARACTERS,
            map(_character_row, audit.characters),
        ),
    ]
    said += [f"Why: {note}" for note in notes(audit)]
    said += [f"{config} was not audited: {reason}" for config, reason in audit.absent.items()]
    parts = ", ".join(f"{item.part} {item.images:,}" for item in audit.repeats)
    against = f"Compared with: {', '.join(audit.against)}" * bool(audit.against)
    heads = [coverage(audit), f"Distinct images: {parts}", against]
    return "\n\n".join([*filter(None, heads), *said])


def compared_with(item: Compared) -> str:
    """What a mixture holds, and how its images were compared."""
    rest = item.images - item.by_picture
    how = f"{item.by_picture:,} of its {item.images:,} images by picture or hash"
    if rest:
        how += (
            f", {rest:,} by name alone, as their pictures are not there: an equal name is a hint "
            "and no proof (--against-images DIR compares the pictures)"
        )
    text = f"{item.file}: {item.rows:,} items; compared {how}."
    if unreadable := item.unreadable:
        text += f" {len(unreadable):,} items cannot be read and were left out: {unreadable[0]}"
    return text


def _compared_text(audit: Audit) -> str:
    tests = ", ".join(f"{item.part} {item.images:,}" for item in audit.repeats)
    heads = [coverage(audit), *map(compared_with, audit.compared), f"Images: {tests}"]
    table = _table("Found in test splits", _COMPARED, map(_compared_row, audit.overlaps))
    absent = [f"{config} was not compared: {why}" for config, why in audit.absent.items()]
    examples = [line for item in audit.overlaps for line in _examples(item)]
    return "\n\n".join([*filter(None, heads), table, *filter(None, ["\n".join(examples)]), *absent])


_COMPARED = ("images of", "in", "by picture", "by name", "questions", "other sentences", "kinds")
_EXAMPLES = 3


def _compared_row(item: Overlap) -> list[str]:
    counts = (by_picture(item.pairs), by_name(item.pairs), len(item.questions), len(item.texts))
    return [item.left, item.right, *(f"{n:,}" for n in counts), kinds(item.pairs)]


def _examples(item: Overlap) -> Iterator[str]:
    yield f"{item.right}:"
    for pair in item.pairs[:_EXAMPLES]:
        yield f"  {kind_name(pair.kind)}: {pair.image} = {pair.other} ({pair.other_rows[0]})"
    for asked in item.questions[:_EXAMPLES]:
        answer = "the same answer" if asked.same_answer else "another answer"
        yield f"  question: {asked.question!r}, {answer} ({asked.row} = {asked.other_row})"
    for said in item.texts[:_EXAMPLES]:
        yield f"  sentence: {said.text!r} ({said.row} = {said.other_row})"


def coverage(audit: Audit) -> str:
    """How much of what was to be audited could be; empty where all of it was."""
    if not audit.absent:
        return ""
    audited = {_config(item.part) for item in audit.repeats}
    return (
        f"Only {len(audited)} of {len(audited) + len(audit.absent)} configs were audited: "
        f"{', '.join(audit.absent)} could not be built. Nothing is known of leaks into or out of "
        "them."
    )


_OVERLAPS = ("images of", "in", "images", "rows", "shared questions", "kinds")
_REPEATS = ("split", "duplicate rows", "repeated questions", "contradicting", "first")
_CHARACTERS = ("split", "character", "rows", "rows with it in references", "first")


def _overlap_row(overlap: Overlap) -> list[str]:
    counts = (len(overlap.pairs), overlap.rows, len(overlap.questions))
    return [overlap.left, overlap.right, *(f"{n:,}" for n in counts), kinds(overlap.pairs)]


def _repeats_row(item: Repeats) -> list[str]:
    first = (item.questions or item.duplicates)[0]
    counts = (item.duplicate_rows, len(item.questions), item.contradictions)
    return [item.part, *(f"{n:,}" for n in counts), " = ".join(first.ids[:2])]


def _character_row(item: OddCharacter) -> list[str]:
    return [item.part, item.character, f"{item.rows:,}", f"{item.references:,}", item.first]


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, *rows]
    if len(lines) == 1:
        return f"{title}: none"
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([title, *(f"  {line}" for line in shown)])


def to_json(audit: Audit) -> dict[str, Any]:
    """Every finding with the ids of its rows, and why they are there."""
    return asdict(audit) | {"notes": notes(audit)}
