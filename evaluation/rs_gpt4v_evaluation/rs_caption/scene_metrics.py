"""The two scores of `rs_caption` that are computed only if asked for: SPICE and `spice_approx`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

NAMES = ("spice", "spice_approx")
"""Names to ask for."""


class SceneMetric(NamedTuple):
    """A score that is ready to be computed.

    Args:
        score: From tokenised captions and their references to a value in [0, 1].
        versions: What the value depends on, for the signature.
    """

    score: Callable[[Sequence[str], Sequence[Sequence[str]]], float]
    versions: str


def scene_metrics(names: Sequence[str]) -> dict[str, SceneMetric]:
    """Those of ``names`` that are defined here, with all their parts found.

    Raises:
        ImportError: spaCy, its model or pycocoevalcap is not installed.
        FileNotFoundError: SPICE is asked for, and there is no CoreNLP 3.6.0 or no Java.
        RuntimeError: SPICE is asked for, and Java is none of 8 to 14.
    """
    found: dict[str, SceneMetric] = {}
    if "spice" in names:
        from rs_gpt4v_evaluation.rs_caption.spice import find_spice, spice

        program = find_spice()
        found["spice"] = SceneMetric(partial(spice, program=program), program.signature)
    if "spice_approx" in names:
        from rs_gpt4v_evaluation.rs_caption.spice_approx import check, parser, spice_approx

        check()
        found["spice_approx"] = SceneMetric(spice_approx, parser())
    return found
