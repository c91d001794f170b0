"""The findings in words: a table for the terminal, and what they mean."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rs_gpt4v_builders.audit.characters import OddCharacter
from rs_gpt4v_builders.audit.findings import Audit, Overlap, Pair, Repeats

KINDS = {
    "same file": "one file, named by both",
    "same bytes": "a copy of the file",
    "same pixels": "another file, the same pixels (a lossless copy)",
    "near": "nearly the same picture (saved again, scaled, brightened)",
}

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
    return ", ".join(f"{counted[kind]:,} {kind}" for kind in KINDS if kind in counted)


def to_text(audit: Audit) -> str:
    """The findings as tables, with the first ids of each kind of repetition."""
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
