"""METEOR's paraphrase table: 5,274,084 pairs of phrases of up to seven words, from pycocoevalcap.

A phrase is its 64-bit hash (FNV-1a) here; no two of the 2,616,378 phrases of the table share one.
The first use reads the table (62 MB) and keeps an index (47 MB) in ``$HF_HOME/rs_gpt4v``, named
after the table's own checksum; later uses read that.
"""

import gzip
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from huggingface_hub.constants import HF_HOME
from numpy.typing import NDArray
from tqdm import tqdm

from rs_gpt4v.files import replacing
from rs_gpt4v_evaluation.rs_caption.meteor import meteor_folder
from rs_gpt4v_evaluation.rs_caption.meteor.compiled import compiled

MAX_WORDS = 7
"""Words of the longest phrase."""

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

_SEED = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_SPACE = np.uint64(ord(" "))
_NEWLINE = ord("\n")
_CHUNK = 1 << 23  # bytes of the unpacked table at once


class Paraphrases(NamedTuple):
    """Who paraphrases whom.

    The paraphrases of ``sources[i]`` are ``counts[i]`` of ``targets``, from ``starts[i]`` on, in
    the table's order; ``sources`` are sorted.
    """

    sources: Hashes
    starts: Indices
    counts: Indices
    targets: Hashes

    def among(self, phrases: Hashes) -> tuple[Hashes, Hashes]:
        """Pairs of source and target that both are in ``phrases``, which are sorted.

        A source's targets stand together and in the table's order.
        """
        rows = np.flatnonzero(contained(self.sources, phrases))
        counts = self.counts[rows]
        ends = np.cumsum(counts)
        places = np.arange(ends[-1] if len(rows) else 0)
        places += np.repeat(self.starts[rows] - (ends - counts), counts)
        targets = self.targets[places]
        kept = contained(targets, phrases)
        return np.repeat(self.sources[rows], counts)[kept], targets[kept]


def contained(values: Hashes, sorted_values: Hashes) -> NDArray[np.bool_]:
    """Which of ``values`` are in ``sorted_values``."""
    if len(sorted_values) == 0:
        return np.zeros(values.shape, bool)
    places = np.searchsorted(sorted_values, values)
    return sorted_values[np.minimum(places, len(sorted_values) - 1)] == values


def load_paraphrases() -> Paraphrases:
    """The table of English, from the index if there is one.

    Raises:
        ImportError: pycocoevalcap is not installed.
    """
    table = meteor_folder() / "data" / "paraphrase-en.gz"
    index = Path(HF_HOME) / "rs_gpt4v" / f"meteor-paraphrases-{_checksum(table)}.npz"
    if index.is_file():
        with np.load(index) as arrays:
            return Paraphrases(**arrays)
    paraphrases = read_table(table)
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        with replacing(index) as file:
            np.savez(file, **paraphrases._asdict())
    except OSError as error:
        warnings.warn(
            f"METEOR's paraphrases are read anew each time (half a minute): {error}. "
            "Set HF_HOME to a folder that can be written.",
            stacklevel=2,
        )
    return paraphrases


def read_table(table: Path) -> Paraphrases:
    """Read a gzip file of METEOR: a probability, a phrase and its paraphrase, a line each."""
    rows = np.concatenate(list(_line_hashes(table))).reshape(-1, 3)
    sources, targets = rows[:, 1], rows[:, 2].copy()
    starts = np.flatnonzero(np.append(True, sources[1:] != sources[:-1]))
    counts = np.diff(np.append(starts, len(sources)))
    order = np.argsort(sources[starts])
    return Paraphrases(sources[starts][order], starts[order], counts[order], targets)


def _line_hashes(table: Path) -> Iterator[Hashes]:
    """Hashes of the lines of a gzip file, chunk by chunk."""
    begun = _SEED
    progress = tqdm(desc="Reading METEOR's paraphrases", unit="B", unit_scale=True)
    with gzip.open(table) as file, progress:
        while chunk := file.read(_CHUNK):
            hashes = np.empty(chunk.count(b"\n"), np.uint64)
            begun = np.uint64(_hash_lines(np.frombuffer(chunk, np.uint8), begun, hashes))
            progress.update(len(chunk))
            yield hashes


@compiled
def _hash_lines(text: NDArray[np.uint8], begun: np.uint64, hashes: Hashes) -> np.uint64:
    """Write the hash of each line that ends in ``text``; returns the unfinished line's."""
    count = 0
    for byte in text:
        if byte == _NEWLINE:
            hashes[count] = begun
            count += 1
            begun = _SEED
        else:
            begun = (begun ^ np.uint64(byte)) * _PRIME
    return begun


@compiled
def hash_ngrams(
    words: Indices, word_starts: Indices, text: NDArray[np.uint8], starts: Indices, hashes: Hashes
) -> None:
    """Write the hash of the ``n`` words from ``words[i]`` on to ``hashes[i, n - 1]``.

    Args:
        words: Numbers of the words of all sentences, one after the other.
        word_starts: Where in ``words`` each sentence starts; one longer.
        text: Bytes of the words in UTF-8, by number, one after the other.
        starts: Where in ``text`` each word starts; one longer.
        hashes: One row a word; left alone where a sentence is too short.
    """
    for sentence in range(len(word_starts) - 1):
        end = word_starts[sentence + 1]
        for first in range(word_starts[sentence], end):
            begun = _SEED
            for place in range(first, min(first + hashes.shape[1], end)):
                word = words[place]
                for index in range(starts[word], starts[word + 1]):
                    begun = (begun ^ np.uint64(text[index])) * _PRIME
                hashes[first, place - first] = begun
                begun = (begun ^ _SPACE) * _PRIME


def _checksum(table: Path) -> str:
    """The checksum that a gzip file carries of its content."""
    with table.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        return file.read(8).hex()
