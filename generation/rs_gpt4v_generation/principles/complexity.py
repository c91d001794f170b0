"""Complexity: how much is asked, and in how many steps."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from rs_gpt4v_generation.claims import sentences
from rs_gpt4v_generation.principles.forms import FORMS
from rs_gpt4v_generation.principles.richness import Quartiles, quartiles
from rs_gpt4v_generation.principles.turns import Intervals, Turns
from rs_gpt4v_generation.principles.words import ASKED_ATTRIBUTES, phrases, words


@dataclass(frozen=True, slots=True)
class Complexity:
    """Of dialogues and questions, see `rs_gpt4v_generation.principles.catalogue`."""

    turns: Quartiles
    mean_turns: float
    question_words: Quartiles
    answer_sentences: float
    forms: dict[str, float]
    places: float
    attributes: float
    intervals: Intervals = field(default_factory=dict)

    @property
    def reasoning(self) -> float:
        """Questions of that form."""
        return self.forms["reasoning"]


def complexity(turns: Turns) -> Complexity:
    """The complexity of ``turns``."""
    per_dialogue = np.bincount(turns.row, minlength=turns.rows)
    questions = turns.questions
    forms = Counter(turns.forms.tolist())
    answer_sentences = turns.answers.each(lambda text: len(sentences(text)))
    attributes = questions.each(_asks_attribute)
    is_first = np.diff(turns.row, prepend=-1) > 0
    return Complexity(
        turns=quartiles(per_dialogue),
        mean_turns=float(per_dialogue.mean()),
        question_words=quartiles(questions.each(lambda text: len(words(text)))),
        answer_sentences=float(answer_sentences.mean()),
        forms={name: forms[name] / turns.count for name in FORMS},
        places=float(turns.asks_place.mean()),
        attributes=float(attributes.mean()),
        intervals=turns.intervals(
            mean_turns=(np.ones(turns.count), is_first),
            answer_sentences=answer_sentences,
            reasoning=turns.forms == "reasoning",
            places=turns.asks_place,
            attributes=attributes,
        ),
    )


def _asks_attribute(question: str) -> bool:
    return any(phrases(words(question), ASKED_ATTRIBUTES))
