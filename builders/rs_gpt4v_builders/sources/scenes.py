"""Scene classes of the caption releases: what an image shows as a whole, out of a closed set.

A class is written in words: "DenseResidential", "dense_residential" and "denseresidential" are
"dense residential". The splits are those of the captions, so that no image is tested that a
caption has taught.
"""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v.scene_classes import squeezed, two_spellings
from rs_gpt4v_builders.sources import karpathy
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source

UCM = (
    *("agricultural", "airplane", "baseball diamond", "beach", "buildings", "chaparral"),
    *("dense residential", "forest", "freeway", "golf course", "harbor", "intersection"),
    *("medium residential", "mobile home park", "overpass", "parking lot", "river", "runway"),
    *("sparse residential", "storage tanks", "tennis court"),
)
"""UC Merced's, in the order of its images: 100 each."""

NWPU = (
    *("airplane", "airport", "baseball diamond", "basketball court", "beach", "bridge"),
    *("chaparral", "church", "circular farmland", "cloud", "commercial area"),
    *("dense residential", "desert", "forest", "freeway", "golf course", "ground track field"),
    *("harbor", "industrial area", "intersection", "island", "lake", "meadow"),
    *("medium residential", "mobile home park", "mountain", "overpass", "palace", "parking lot"),
    *("railway", "railway station", "rectangular farmland", "river", "roundabout", "runway"),
    *("sea ice", "ship", "snowberg", "sparse residential", "stadium", "storage tank"),
    *("tennis court", "terrace", "thermal power station", "wetland"),
)

_RSICD_AND_RSITMD = (
    *("airport", "bare land", "baseball field", "beach", "bridge", "center", "church"),
    *("commercial", "dense residential", "desert", "farmland", "forest", "industrial", "meadow"),
    *("medium residential", "mountain", "park", "parking", "playground", "pond", "port"),
    *("railway station", "resort", "river", "school", "sparse residential", "square", "stadium"),
    *("storage tanks", "viaduct"),
)
RSICD = tuple(sorted((*_RSICD_AND_RSITMD, "playfields")))
RSITMD = tuple(sorted((*_RSICD_AND_RSITMD, "boat", "intersection", "plane")))

Label = str | tuple[str, str]
"""The class of an image, or why it has none: kind and reason."""


def scenes_of(source: Source, reader: Callable[[Path, str, Protocol], pa.Table]) -> Source:
    """The scene classes of the images that ``source`` has the captions of."""
    return replace(source, name=f"{source.name}_scenes", reader=reader)


def read(
    folder: Path,
    split: str,
    _: Protocol,
    *,
    file: str,
    classes: Sequence[str],
    label: Callable[[str], Label],
    splits: Iterable[str] = karpathy.SPLITS,
) -> pa.Table:
    """The records of ``split`` in Karpathy's layout, each image with its ``label``, by its name."""
    path = folder / file
    rows = [
        scene(karpathy.record(image, [], f"{path}, {item}", item), label, classes)
        for item, image in karpathy.images(path).items()
    ]
    return karpathy.of_split(rows, split, splits, records.SCENES)


def scene(
    record: dict[str, Any], label: Callable[[str], Label], classes: Sequence[str]
) -> dict[str, Any]:
    """The record with the class of its image, or with why that is unknown."""
    found = label(record["image"]) if isinstance(record["image"], str) else None
    if isinstance(found, tuple):
        kind, reason = found
        return record | {"problem": (kind, f"{record['where']}: {reason}")}
    return record | {"label": found, "classes": classes}


def known(names: Iterable[str], classes: Sequence[str], where: str) -> dict[str, str]:
    """The class of each of ``names``, which are spelt as a release does.

    Raises:
        AnnotationError: One is none of ``classes``, or two are one class.
    """
    names = list(names)
    if pair := two_spellings(names):
        raise AnnotationError(
            f"{where}: {pair[0]!r} and {pair[1]!r} are one class in two spellings: merge them"
        )
    labels: dict[str, str] = {}
    for name in names:
        label = class_of(name, classes)
        if isinstance(label, tuple):
            raise AnnotationError(f"{where}: {label[1]}")
        labels[name] = label
    return labels


def class_of(name: str, classes: Sequence[str]) -> Label:
    """Which of ``classes`` is spelt ``name``."""
    by_spelling = {squeezed(own): own for own in classes}
    if own := by_spelling.get(squeezed(name)):
        return own
    near = difflib.get_close_matches(squeezed(name), by_spelling, n=1)
    meant = f" Is {by_spelling[near[0]]!r} meant?" if near else ""
    return "unknown class", f"{name!a:.80} is none of the {len(classes)} classes.{meant}"


def class_in_name(image: str, classes: Sequence[str]) -> Label:
    """The class of ``bareland_12.tif``."""
    stem = PurePosixPath(image).stem
    return class_of(stem.rpartition("_")[0] or stem, classes)


def class_by_number(image: str, classes: Sequence[str], images_each: int) -> Label:
    """The class of ``12.tif`` where the first images are of the first class, and so on."""
    stem = PurePosixPath(image).stem
    last = images_each * len(classes)
    if stem.isdecimal() and len(stem) <= len(str(last)) and 1 <= int(stem) <= last:
        return classes[(int(stem) - 1) // images_each]
    return "unknown class", f"{image!a:.80} is not one of the images 1 to {last:,}"
