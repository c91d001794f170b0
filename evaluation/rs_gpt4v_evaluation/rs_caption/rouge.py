"""ROUGE-L as in the COCO caption evaluation (Lin, 2004)."""

from collections.abc import Sequence

_BETA = 1.2  # recall weighs more than precision


def rouge_l(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """ROUGE-L of each caption, in [0, 1]; tokenised captions and references.

    The best precision and the best recall may come from two references. A caption without tokens
    scores 0, also where a reference has none either (COCO gives 1 there).

        >>> rouge_l(["a b"], [["a x x x", "b a"]])  # P = 1/2 of either, R = 1/2 of the second
        [0.5]
    """
    keys = [(c, *refs) for c, refs in zip(candidates, references, strict=True)]
    scores = {key: _item(key[0], key[1:]) for key in set(keys)}
    return [scores[key] for key in keys]


def _item(candidate: str, refs: Sequence[str]) -> float:
    if not candidate:
        return 0.0
    words = candidate.split(" ")
    places: dict[str, int] = {}
    for index, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << index
    precision = recall = 0.0
    for ref in dict.fromkeys(refs):
        # NWPU has a reference " .": like COCO, "".split(" ") counts one word.
        ref_words = ref.split(" ")
        common = _lcs(places, len(words), ref_words)
        precision = max(precision, common / len(words))
        recall = max(recall, common / len(ref_words))
    if precision == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _lcs(places: dict[str, int], length: int, words: Sequence[str]) -> int:
    """Length of the longest common subsequence of ``words`` and a sequence of ``length`` words.

    ``places`` has, per word of that sequence, a bit at each of its positions. A whole row of the
    usual table is one integer here (Hyyro, 2004): a 0 bit where the row grows by one.
    """
    all_bits = (1 << length) - 1
    row = all_bits
    for word in words:
        hits = row & places.get(word, 0)
        row = (row + hits | row - hits) & all_bits
    return length - row.bit_count()
