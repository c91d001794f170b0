"""The order in which rows are trained on, if those of a batch shall be of similar length."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow.compute as pc
from datasets import Dataset
from torch.utils.data import Sampler

_WINDOW = 50


class LengthSampler(Sampler[int]):
    """Puts rows of similar length into one step, those with images and those without apart.

    Rows are drawn at random, sorted by length in windows of 50 batches, and the batches are drawn
    at random again. An epoch's order depends on the seed and the epoch alone, so all processes have
    the same, and a run that resumes has that of one that was not interrupted: transformers' own
    sampler asks the random state.

    Args:
        lengths: Tokens of each row.
        has_image: Whether each row has an image.
        batch: Rows of a step, over all processes.
        seed: Of the order.
    """

    def __init__(self, lengths: np.ndarray, has_image: np.ndarray, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed = lengths, batch, seed
        self.kinds = [np.flatnonzero(has_image == kind) for kind in (True, False)]
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by transformers as an epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        batches: list[np.ndarray] = []
        rest: list[np.ndarray] = []
        for rows in self.kinds:
            drawn = rng.permutation(rows)
            size = _WINDOW * self.batch
            for start in range(0, len(drawn), size):
                window = drawn[start : start + size]
                window = window[np.argsort(-self.lengths[window], kind="stable")]
                whole = len(window) // self.batch * self.batch
                batches += np.split(window[:whole], whole // self.batch) if whole else []
                rest.append(window[whole:])
        order = [batches[i] for i in rng.permutation(len(batches))]
        # What fills no batch comes last, so that no other batch begins in the midst of it.
        return iter(np.concatenate([*order, *rest]).tolist())


def length_sampler(rows: Dataset, batch: int, seed: int) -> LengthSampler:
    """The sampler of ``rows``, which have a column ``length``."""
    table: Any = rows.select_columns(["images", "length"]).with_format("arrow")[:]
    has_image = pc.list_value_length(table["images"].combine_chunks()).to_numpy() > 0
    return LengthSampler(table["length"].to_numpy(), has_image, batch, seed)
