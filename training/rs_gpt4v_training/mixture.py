"""How often the rows of each config are in an epoch: `mixture` in a recipe."""

import difflib
from collections.abc import Iterable, Mapping

import datasets
import numpy as np


class MixtureError(ValueError):
    """A weight is for nothing that is trained on, or is no weight."""


def refuse_bad_weights(weights: Mapping[str, float], configs: Iterable[str]) -> None:
    """Raise unless every weight is positive and for one of ``configs``.

    Raises:
        MixtureError: The first bad one, with what there is.
    """
    known = list(configs)
    for name, weight in weights.items():
        if name not in known:
            near = difflib.get_close_matches(name, known)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise MixtureError(
                f"mixture: {name!r} is not trained on.{meant} There are: {', '.join(known)}"
            )
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
            raise MixtureError(
                f"mixture: {name}: {weight!r} is no weight: give a number above 0, 0.5 for half "
                f"of its rows, 2 for each row twice; or leave it out of datasets. There are: "
                f"{', '.join(known)}"
            )


def weighted(rows: datasets.Dataset, weight: float, seed: int) -> datasets.Dataset:
    """``rows``, each ``weight`` times: whole times in order, then a random part by ``seed``.

    The part is the same in every epoch.
    """
    whole, rest = divmod(weight, 1)
    part = np.random.default_rng(seed).permutation(len(rows))[: round(rest * len(rows))]
    return rows.select(np.r_[np.tile(np.arange(len(rows)), int(whole)), np.sort(part)])
