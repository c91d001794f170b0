"""Fact checks of a generated dialogue: pure functions from its words and the boxes to verdicts.

A verdict is pass, fail or cannot tell, with the sentence, the boxes and the rule.
"""

from collections.abc import Sequence

from rs_gpt4v.conversation import Message
from rs_gpt4v.object_classes import DIOR, Vocabulary
from rs_gpt4v_generation.checks import _dialogue
from rs_gpt4v_generation.checks._against_boxes import judge
from rs_gpt4v_generation.checks._dialogue import Turn
from rs_gpt4v_generation.checks._verdict import Check, Result, Verdict
from rs_gpt4v_generation.claims import Claim, Topic, claims, plain
from rs_gpt4v_generation.facts import FactSheet
from rs_gpt4v_generation.products import PRODUCTS, ProductName

__all__ = ["FACTUAL", "Check", "Result", "Verdict", "check", "failures", "judge"]

FACTUAL: frozenset[Check] = frozenset({"counts", "presence", "absence", "places", "relations"})
"""Checks against the boxes: a dialogue that passes none of them says nothing that they confirm."""


def check(
    messages: Sequence[Message],
    sheet: FactSheet,
    product: ProductName = "conversation",
    vocabulary: Vocabulary = DIOR,
) -> list[Verdict]:
    """Every verdict on a dialogue about the image of ``sheet``.

    Args:
        messages: User and assistant in turn, as `rs_gpt4v_generation.replies` returns them.
        sheet: The facts of the image.
        product: Whose `Limits` it must keep.
        vocabulary: The classes of which every object is annotated.
    """
    turns = [
        (plain(q["content"]), plain(a["content"]))
        for q, a in zip(messages[::2], messages[1::2], strict=True)
    ]
    claimed = _claims(turns, vocabulary)
    return [
        *(judge(claim, sheet, turn) for turn, claim in claimed),
        *_dialogue.contradictions(claimed),
        *_dialogue.leaks(turns),
        *_dialogue.duplicates(turns),
        *_dialogue.repetition(turns),
        *_dialogue.language(turns),
        *_dialogue.length(turns, *PRODUCTS[product].limits),
        *_dialogue.beyond(turns, vocabulary),
    ]


def _claims(turns: Sequence[Turn], vocabulary: Vocabulary) -> list[tuple[int, Claim]]:
    topic, claimed = Topic(), []
    for turn, (question, answer) in enumerate(turns):
        read, topic = claims(question, answer, vocabulary, topic)
        claimed += [(turn, claim) for claim in read]
    return claimed


def failures(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts that a reviewer must see."""
    return [verdict for verdict in verdicts if verdict.result == "fail"]
