"""The captions of a batch as numbers, with all that METEOR's matchers ask of their words."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from snowballstemmer.english_stemmer import EnglishStemmer

from rs_gpt4v_evaluation.rs_caption.meteor import jar_text
from rs_gpt4v_evaluation.rs_caption.meteor.paraphrases import (
    MAX_WORDS,
    Hashes,
    Paraphrases,
    contained,
    hash_ngrams,
)
from rs_gpt4v_evaluation.rs_caption.meteor.synonyms import Synonyms

Integers = NDArray[np.int64]


class Batch(NamedTuple):
    """Sentences, words and phrases, each by its number.

    What belongs to number ``i`` stands from ``starts[i]`` to ``starts[i + 1]``: the ``words`` of a
    sentence; its ``phrases`` (first word, words, phrase), earlier and shorter ones first; the
    ``synonyms`` of a word, sorted; the ``paraphrases`` of a phrase, in the table's order.
    """

    words: Integers
    word_starts: Integers
    phrases: Integers
    phrase_starts: Integers
    stems: Integers
    is_function_word: Integers
    synonyms: Integers
    synonym_starts: Integers
    paraphrases: Integers
    paraphrase_starts: Integers


def read_batch(sentences: Sequence[Sequence[str]], table: Paraphrases) -> Batch:
    """Look up all words and phrases of ``sentences``.

    Raises:
        ImportError: pycocoevalcap is not installed.
    """
    numbers: dict[str, int] = {}
    words = _array(numbers.setdefault(w, len(numbers)) for w in chain.from_iterable(sentences))
    word_starts = _starts(map(len, sentences))
    function_words = set(jar_text("function/english.words").split())
    stem = EnglishStemmer().stemWord
    stems: dict[str, int] = {}
    synonyms, synonym_starts = _synonyms(list(numbers))
    return Batch(
        words=words,
        word_starts=word_starts,
        stems=_array(stems.setdefault(stem(word), len(stems)) for word in numbers),
        is_function_word=_array(word in function_words for word in numbers),
        synonyms=synonyms,
        synonym_starts=synonym_starts,
        **_phrases(words, word_starts, list(numbers), table),
    )


def _array(numbers: Iterable[int]) -> Integers:
    return np.fromiter(numbers, np.int64)


def _starts(lengths: Iterable[int]) -> Integers:
    return _array(accumulate(lengths, initial=0))


def _synonyms(words: Sequence[str]) -> tuple[Integers, Integers]:
    """Numbers of the words in ``words`` that share a set with each of them."""
    known = Synonyms.load()
    members: dict[int, list[int]] = defaultdict(list)
    for number, word in enumerate(words):
        for synset in known.sets(word):
            members[synset].append(number)
    rows = [sorted({m for synset in known.sets(w) for m in members[synset]}) for w in words]
    return _array(chain.from_iterable(rows)), _starts(map(len, rows))


def _phrases(
    words: Integers, word_starts: Integers, known: Sequence[str], table: Paraphrases
) -> dict[str, Integers]:
    """Phrases that have a paraphrase in the batch or are one: where, and which paraphrases."""
    hashes = _ngram_hashes(words, word_starts, known)
    sources, targets = table.among(np.unique(hashes))
    phrases = np.unique(np.concatenate([sources, targets]))
    places, lengths = np.nonzero(contained(hashes, phrases))
    sentences = np.searchsorted(word_starts, places, side="right") - 1
    phrase_numbers = np.searchsorted(phrases, hashes[places, lengths])
    counts = np.bincount(np.searchsorted(phrases, sources), minlength=len(phrases))
    return {
        "phrases": np.stack([places - word_starts[sentences], lengths + 1, phrase_numbers], axis=1),
        "phrase_starts": np.searchsorted(places, word_starts),
        "paraphrases": np.searchsorted(phrases, targets),
        "paraphrase_starts": _starts(counts),
    }


def _ngram_hashes(words: Integers, word_starts: Integers, known: Sequence[str]) -> Hashes:
    """Hashes of the phrases of one to seven words that start at each word."""
    encoded = [word.encode() for word in known]
    hashes = np.zeros((len(words), MAX_WORDS), np.uint64)
    text = np.frombuffer(b"".join(encoded), np.uint8)
    hash_ngrams(words, word_starts, text, _starts(map(len, encoded)), hashes)
    return hashes
