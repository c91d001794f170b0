"""Propositions of a caption from its dependency parse: objects, attributes and relations.

The rules follow the description of SPICE and of the Stanford scene graph parser it builds on
(Anderson et al., 2016; Schuster et al., 2015), for the labels that spaCy's English models give
(ClearNLP's). "Two red cars are parked near a bridge":

    >>> two, red = Word("two", "two", "CD", "nummod", 2), Word("red", "red", "JJ", "amod", 2)
    >>> car = Word("cars", "car", "NNS", "nsubj", 3)
    >>> are, near = Word("are", "be", "VBP", "ROOT", 3), Word("near", "near", "IN", "prep", 3)
    >>> bridge = Word("bridge", "bridge", "NN", "pobj", 4)
    >>> propositions([two, red, car, are, near, bridge])
    (('car',), ('car', 'two'), ('car', 'red'), ('car', 'bridge', 'near'), ('bridge',))
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Proposition = tuple[str, ...]
"""(object,), (object, attribute) or (subject, object, relation), as lower-case lemmas."""

_NOUNS = ("NN", "NNS", "NNP", "NNPS")
# "A lot of cars" is about cars; its first word becomes an attribute of theirs, as in SPICE.
_QUANTITIES = frozenset(
    {"lot", "number", "couple", "dozen", "plenty", "handful", "hundred", "thousand", "bunch"}
)
_PRONOUNS = frozenset({"it", "them", "they", "its", "their"})
_PLACES = frozenset({"next", "close", "adjacent"})  # with "to", a preposition


class Word(NamedTuple):
    """A word of a parsed caption.

    Args:
        text: The word as written.
        lemma: Its base form.
        tag: Penn Treebank tag.
        dep: Label of the dependency on its head.
        head: Place of the head in the caption, from 0; its own place if it has none.
    """

    text: str
    lemma: str
    tag: str
    dep: str
    head: int


def propositions(words: Sequence[Word]) -> tuple[Proposition, ...]:
    """What a caption says, each thing once, in the order of its words."""
    caption = _Caption(words)
    found: dict[Proposition, None] = {}
    for place in range(len(words)):
        if caption.is_object(place):
            found |= dict.fromkeys(_of_object(caption, place))
        found |= dict.fromkeys(_of_predicate(caption, place))
    return tuple(found)


def _of_object(caption: "_Caption", place: int) -> Iterator[Proposition]:
    lemma = caption.lemma
    yield (lemma(place),)
    meant = caption.meant(place)
    if meant != place:
        yield lemma(meant), lemma(min([place, *caption.children(place, "det", "amod")]))
    else:
        for modifier in caption.modifiers(place):
            yield lemma(place), lemma(modifier)
    for owner in caption.objects(caption.children(place, "poss")):
        yield lemma(owner), lemma(place), "have"
    for name, other in caption.complements(place):
        # Of "A with B in it", parsers often take "in it" for A's: it is B that is in A.
        for subject in [meant] if other != meant else caption.had(place):
            yield lemma(subject), lemma(other), name
    for participle in caption.children(place, "acl"):
        if caption.words[participle].tag in ("VBG", "VBN"):
            yield from _actions(caption, meant, participle)


def _of_predicate(caption: "_Caption", verb: int) -> Iterator[Proposition]:
    lemma, children = caption.lemma, caption.children
    for subject in caption.objects(children(verb, "nsubj")):
        for attribute in caption.predicated(verb):
            yield lemma(subject), lemma(attribute)
        yield from _actions(caption, subject, verb)
    # The passive gives a relation only if it names who does it, as in SPICE.
    for agent in caption.objects(caption.inside(children(verb, "agent"))):
        for patient in caption.objects(children(verb, "nsubjpass")):
            yield lemma(agent), lemma(patient), lemma(verb)


def _actions(caption: "_Caption", subject: int, verb: int) -> Iterator[Proposition]:
    """What a subject does: "trees surrounding a lake", "a lake surrounded by trees"."""
    lemma = caption.lemma
    for other in caption.objects(caption.children(verb, "dobj")):
        yield lemma(subject), lemma(other), lemma(verb)
    for name, other in caption.complements(verb):
        if other != subject:
            relation = name if lemma(verb) == "be" else f"{lemma(verb)} {name}"
            yield lemma(subject), lemma(other), relation


class _Caption:
    """A parsed caption with the questions that the rules ask; places count from 0."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words
        self._children: dict[int, list[int]] = defaultdict(list)
        for place, word in enumerate(words):
            if word.head != place:
                self._children[word.head].append(place)

    def lemma(self, place: int) -> str:
        return self.words[place].lemma.lower()

    def children(self, place: int, *deps: str) -> list[int]:
        return [child for child in self._children[place] if self.words[child].dep in deps]

    def conjuncts(self, place: int) -> list[int]:
        """The word and what "and", "or" and commas add to it."""
        further = self.children(place, "conj")
        return [place, *(found for child in further for found in self.conjuncts(child))]

    def is_object(self, place: int) -> bool:
        """Whether the word heads a noun phrase; a tagger's adjective can ("in the middle")."""
        _, lemma, tag, dep, _ = self.words[place]
        if tag in _NOUNS:
            return dep != "compound"
        return dep in ("pobj", "dobj") and tag[:2] in ("JJ", "VB", "RB") and lemma != "other"

    def meant(self, place: int) -> int:
        """The place of what a quantity counts ("cars" for "lot"), or the place itself."""
        if self.lemma(place) in _QUANTITIES:
            for of in self.children(place, "prep"):
                for counted in self.children(of, "pobj"):
                    if self.lemma(of) == "of" and self.is_object(counted):
                        return counted
        return place

    def objects(self, places: Sequence[int]) -> list[int]:
        """The objects that phrases name, pronouns resolved; what is no object is left out."""
        every = [found for place in places for found in self.conjuncts(place)]
        named = [self._antecedent(p) if self._is_pronoun(p) else p for p in every]
        return [self.meant(p) for p in named if p is not None and self.is_object(p)]

    def _is_pronoun(self, place: int) -> bool:
        return self.words[place].text.lower() in _PRONOUNS

    def _antecedent(self, place: int) -> int | None:
        """The whole of "A with B in it", else the first object before the pronoun."""
        above = place
        while (head := self.words[above].head) != above:
            if self.is_object(head) and self.had(head):
                return head
            above = head
        return next(filter(self.is_object, range(place)), None)

    def had(self, place: int) -> list[int]:
        """The parts that "with" gives an object, pronouns aside."""
        having = [p for p in self.children(place, "prep") if self.words[p].text == "with"]
        return [part for part in self.inside(having) if self.is_object(part)]

    def modifiers(self, place: int) -> list[int]:
        """What stands before a noun; in "white storage tank" the tank is white, too."""
        direct = self.children(place, "amod", "nummod", "compound", "nmod")
        nouns = self.children(place, "compound")
        inner = [child for noun in nouns for child in self.children(noun, "amod")]
        return self._unless_places([*direct, *inner])

    def predicated(self, verb: int) -> list[int]:
        """What is said of a subject: "the road is wide", "the road is a bridge"."""
        nouns = self.objects(self.children(verb, "attr"))
        return [*self._unless_places(self.children(verb, "acomp")), *nouns]

    def _unless_places(self, adjectives: Sequence[int]) -> list[int]:
        every = [found for adjective in adjectives for found in self.conjuncts(adjective)]
        return [found for found in every if self.lemma(found) not in _PLACES]

    def inside(self, prepositions: Sequence[int]) -> list[int]:
        """Heads of the phrases that prepositions introduce."""
        return [phrase for p in prepositions for phrase in self.children(p, "pobj")]

    def complements(self, place: int) -> Iterator[tuple[str, int]]:
        """Prepositions at a word, by name, each with every object of its phrase."""
        for first in self.children(place, "prep", "agent"):
            for preposition in self.conjuncts(first):
                for other in self.objects(self.inside([preposition])):
                    yield self.lemma(preposition), other
        for near in self.children(place, "advmod", "acomp", "amod"):
            for to in self.children(near, "prep") if self.lemma(near) in _PLACES else ():
                for other in self.objects(self.inside([to])):
                    yield f"{self.lemma(near)} {self.lemma(to)}", other
