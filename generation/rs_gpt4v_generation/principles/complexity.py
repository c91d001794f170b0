"""Complexity: how much is asked, and in how many steps."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from rs_gpt4v_generation.claims import sentences
from rs_gpt4v_generation.principles.forms import FORMS
from rs_gpt4v_generation.principles.richness import Quartiles, quartiles
from rs_gpt4v_generation.principles.turns import Material
from rs_gpt4v_generation.principles.words import ASKED_ATTRIBUTES, phrases, words


@dataclass(frozen=True, slots=True)
class Complexity:
    """Of dialogues and questions.

    Attributes:
        turns: Turns a dialogue.
        mean_turns: Their mean.
        question_words: Words a question.
        answer_sentences: Sentences an answer, on average.
        forms: The share of each form of question, see `rs_gpt4v_generation.principles.forms`.
        places: Share of questions with a word for a place or a direction.
        attributes: Share of questions with a word for a colour, a size or a material, or these.
    """

    turns: Quartiles
    mean_turns: float
    question_words: Quartiles
    answer_sentences: float
    forms: dict[str, float]
    places: float
    attributes: float


def complexity(material: Material) -> Complexity:
    """The complexity of ``material``."""
    turns = np.bincount(material.row, minlength=material.rows)
    questions = material.questions
    forms = Counter(material.forms.tolist())
    return Complexity(
        turns=quartiles(turns),
        mean_turns=float(turns.mean()),
        question_words=quartiles(questions.each(lambda text: len(words(text)))),
        answer_sentences=float(material.answers.each(lambda text: len(sentences(text))).mean()),
        forms={name: forms[name] / material.turns for name in FORMS},
        places=float(material.asks_place.mean()),
        attributes=float(questions.each(_asks_attribute).mean()),
    )


def _asks_attribute(question: str) -> bool:
    return any(phrases(words(question), ASKED_ATTRIBUTES))
