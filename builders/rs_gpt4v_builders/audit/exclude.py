"""Training without leaks: which images of a split are test images of any release in the root."""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v.records import PROBLEM
from rs_gpt4v_builders.audit.images import cache_in, read_images
from rs_gpt4v_builders.audit.matching import matches, near_pairs
from rs_gpt4v_builders.sources.images import ImageFinder, with_images
from rs_gpt4v_builders.sources.source import Source

LeakFinder = Callable[[pa.ChunkedArray], pa.Array]
"""For each path of an image (null where there is none), the problem that it leaks, or null."""


def leak_finder(
    root: Path,
    sources: Iterable[Source],
    protocol: Protocol,
    cache_dir: str,
    conversion: Conversion = AS_IS,
) -> LeakFinder:
    """Finds images that are among the test images of any of ``sources`` in ``root``.

    Args:
        root: The data root; releases that are absent and images that are missing test nothing.
        sources: Whose test splits to read.
        protocol: Which of the releases' test splits to read.
        cache_dir: The cache folder of `datasets`, where what is known of each image is kept.
        conversion: What is done with images that are not 8-bit.

    Raises:
        AnnotationError: An annotation file of a test split is damaged.
    """
    tests = _test_images(root, sources, protocol, cache_dir, conversion)
    cache = cache_in(cache_dir)
    read_images(list(tests), cache)  # once, before processes share the work
    return partial(_leaks, tests, cache)


def _test_images(
    root: Path,
    sources: Iterable[Source],
    protocol: Protocol,
    cache_dir: str,
    conversion: Conversion,
) -> dict[str, str]:
    """The name of each test image, like ``rsicd/test/airport_1.jpg``, by its real path."""
    names_by_path: dict[str, str] = {}
    for source in sources:
        folder = source.find(root)
        if folder is None:
            continue
        for split, files in source.splits(protocol).items():
            if split.startswith("test") and all(source.has(folder, file) for file in files):
                names = source.read(folder, split, protocol).select(["image"])
                finder = ImageFinder(source, folder, cache_dir, conversion)
                images = with_images(names, finder)
                for image in images.select(["image", "path", "image_problem"]).to_pylist():
                    if image["path"] is not None and image["image_problem"] is None:
                        name = f"{source.name}/{split}/{image['image']}"
                        names_by_path.setdefault(os.path.realpath(image["path"]), name)
    return names_by_path


def _leaks(tests: Mapping[str, str], cache: Path, paths: pa.ChunkedArray) -> pa.Array:
    """For each of ``paths`` why it leaks; see `LeakFinder`."""
    each = paths.combine_chunks().dictionary_encode()
    real = [os.path.realpath(path) for path in each.dictionary.to_pylist()]
    wanted = list(dict.fromkeys(path for path in real if os.path.isfile(path)))  # noqa: PTH113
    images = read_images(list(dict.fromkeys([*wanted, *tests])), cache)
    index = {path: position for position, path in enumerate(images.paths)}
    left, right = (np.array([index[path] for path in some], np.int64) for some in (wanted, tests))
    matched = matches(images, left, right, near_pairs(images, left, right))
    reasons = {
        images.paths[image]: (
            "image is a test image",
            f"its image is {tests[images.paths[other]]} ({kind})",
        )
        for image, other, kind, _ in matched.itertuples(index=False)
    }
    return pa.array([reasons.get(path) for path in real], PROBLEM).take(each.indices)
