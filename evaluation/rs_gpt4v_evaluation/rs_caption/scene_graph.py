"""What captions say as one graph, and SPICE's F-score of one graph against another.

Objects that share a synonym set become one; so do attributes of one object, and relations between
the same two objects. Checked against published output of SPICE 1.0 on RSICD: from its own
propositions, the counts of all 1,094 reference graphs and the matches of all 470 captions that
could be identified are the same.

    >>> said, true = [("road", "grey")], [[("road",)], [("street", "grey"), ("car",)]]
    >>> f_score(said, true, lambda word: frozenset([1] if word in ("road", "street") else []))
    0.8
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from rs_gpt4v_evaluation.rs_caption.propositions import Proposition

SynonymSets = Callable[[str], frozenset[int]]
"""Numbers of the synonym sets that a word belongs to; a phrase has underscores for spaces."""


class Concept:
    """An object, attribute or relation by its words; one in common, or a synonym set, is a match.

    A concept takes in what is merged into it: "pond" merged with "pool" also matches "puddle".
    """

    def __init__(self, word: str, sets: SynonymSets) -> None:
        self._words = {word}
        self._sets = set(sets(word.replace(" ", "_")))

    def matches(self, other: "Concept") -> bool:
        return not (self._words.isdisjoint(other._words) and self._sets.isdisjoint(other._sets))

    def take_in(self, other: "Concept") -> None:
        self._words |= other._words
        self._sets |= other._sets


class SceneGraph:
    """Concepts of one or several captions, merged where they match, in the order given.

    Args:
        captions: The propositions of each caption.
        sets: Synonym sets of a word.
    """

    def __init__(self, captions: Iterable[Iterable[Proposition]], sets: SynonymSets) -> None:
        self._sets = sets
        self._objects: list[Concept] = []
        # By the objects that an attribute or a relation belongs to.
        self._attached: dict[tuple[Concept, ...], list[Concept]] = {}
        for caption in captions:
            for proposition in caption:
                self._add(proposition)

    def _add(self, proposition: Proposition) -> None:
        """An attribute's object, and both of a relation, need no proposition of their own."""
        size = max(1, len(proposition) - 1)
        objects = tuple(self._merge(name, self._objects) for name in proposition[:size])
        for name in proposition[size:]:
            self._merge(name, self._attached.setdefault(objects, []))

    def _merge(self, name: str, known: list[Concept]) -> Concept:
        """The first of ``known`` that matches, or a new one put at its end."""
        new = Concept(name, self._sets)
        for concept in known:
            if concept.matches(new):
                concept.take_in(new)
                return concept
        known.append(new)
        return new

    def tuples(self) -> Iterator[tuple[Concept, ...]]:
        """(object,), (object, attribute) and (subject, object, relation), each once."""
        yield from ((concept,) for concept in self._objects)
        for objects, concepts in self._attached.items():
            yield from ((*objects, concept) for concept in concepts)


def f_score(
    candidate: Iterable[Proposition],
    references: Iterable[Iterable[Proposition]],
    sets: SynonymSets,
) -> float:
    """SPICE's F-score of one caption, in [0, 1]; 0 if it or its references say nothing.

    Args:
        candidate: Propositions of the caption.
        references: Propositions of each reference. Merging goes by their order, so another order
            can give another score where a word is a synonym of two that are none of each other.
        sets: Synonym sets of a word, as `Synonyms.sets`.
    """
    said = list(SceneGraph([candidate], sets).tuples())
    true = list(SceneGraph(references, sets).tuples())
    hits = sum(any(_match(one, other) for other in true) for one in said)
    return 2 * hits / (len(said) + len(true)) if hits else 0.0


def _match(one: Sequence[Concept], other: Sequence[Concept]) -> bool:
    return len(one) == len(other) and all(a.matches(b) for a, b in zip(one, other, strict=True))
