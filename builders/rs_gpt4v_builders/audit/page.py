"""The findings as one self-contained HTML page, with the pictures of the pairs."""

from pathlib import Path
from typing import NamedTuple

from rs_gpt4v.files import AnyPath, write_text
from rs_gpt4v.images import thumbnail_uri
from rs_gpt4v.pages import environment
from rs_gpt4v_builders.audit.findings import Audit, Overlap, Pair, Repeat
from rs_gpt4v_builders.audit.text import (
    KINDS,
    NAME_KINDS,
    by_name,
    by_picture,
    compared_with,
    coverage,
    kind_name,
    kinds,
    notes,
)
from rs_gpt4v_builders.audit.words import WORDS

_PAIRS = 6  # pictures of one overlap
_ALL_PAIRS = 60  # pictures of the page: 120 thumbnails are some 1 MB
_LISTED = 12  # repetitions of one split
_THUMBNAIL_PX = 192
_ORDER = [*KINDS, *NAME_KINDS]


class _Shown(NamedTuple):
    """An overlap with those of its pairs that no earlier one shows."""

    overlap: Overlap
    pairs: list[tuple[Pair, str, str]]

    @property
    def hidden(self) -> int:
        """How many pairs are not shown."""
        return len(self.overlap.pairs) - len(self.pairs)


def write_page(audit: Audit, out: AnyPath, *, sample: bool = False) -> None:
    """Write the page to ``out``; the same findings give the same bytes.

    Args:
        audit: The findings.
        out: The page. It is replaced whole or not at all.
        sample: Say that the pictures are synthetic.
    """
    shown = _shown(audit)
    page = (
        environment(Path(__file__).parent)
        .get_template("page.html.jinja")
        .render(
            audit=audit,
            leaks=[item for item in shown if item.overlap.is_leak],
            straddles=[item for item in shown if not item.overlap.is_leak],
            repeats=[item for item in audit.repeats if item.duplicates or item.questions],
            listed=_LISTED,
            first=_first,
            kinds=kinds,
            explained=KINDS | (NAME_KINDS if audit.compared else {}),
            shown=shown,
            found=_found(audit),
            images_of={item.part: item.images for item in audit.repeats},
            compared_with=compared_with,
            kind_name=kind_name,
            by_picture=by_picture,
            by_name=by_name,
            sentence_words=WORDS,
            notes=notes(audit),
            leaked=_leaked(audit),
            coverage=coverage(audit),
            sample=sample,
        )
    )
    write_text(out, page)


def _leaked(audit: Audit) -> tuple[int, int]:
    """Training rows about leaked images, and the test images that these are."""
    rows = {row for leak in audit.leaks for pair in leak.pairs for row in pair.rows}
    return len(rows), len({pair.other for leak in audit.leaks for pair in leak.pairs})


def _found(audit: Audit) -> tuple[int, int, int, int]:
    """Of a mixture: test images by picture and more by name; questions and sentences there."""
    pairs = [pair for item in audit.overlaps for pair in item.pairs]
    words = [sum(len(getattr(item, name)) for item in audit.overlaps) for name in _WORDS]
    return by_picture(pairs), by_name(pairs), words[0], words[1]


_WORDS = ("questions", "texts")


def _first(repeats: list[Repeat]) -> list[Repeat]:
    """Those to list: contradictions before mere repetitions."""
    return sorted(repeats, key=lambda item: not item.contradicts)[:_LISTED]


def _shown(audit: Audit) -> list[_Shown]:
    """Each overlap with pictures of some pairs, weakest kinds first: those are to be judged."""
    seen: set[tuple[str, str]] = set()
    shown = []
    for overlap in audit.overlaps:
        new = [pair for pair in overlap.pairs if (pair.image, pair.other) not in seen]
        new.sort(key=lambda pair: (pair.agreement, -_ORDER.index(pair.kind)))
        new = new[: min(_PAIRS, _ALL_PAIRS - len(seen))]
        seen.update((pair.image, pair.other) for pair in new)
        pictures = [(pair, _left(pair), _picture(pair.other)) for pair in new]
        shown.append(_Shown(overlap, pictures))
    return shown


def _left(pair: Pair) -> str:
    """The picture of the left side; a mere name has none, whatever is called so here."""
    return _picture(pair.image) if pair.kind in KINDS else ""


def _picture(path: str) -> str:
    return thumbnail_uri(path, _THUMBNAIL_PX)
