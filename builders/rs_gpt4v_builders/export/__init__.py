"""`rs-gpt4v export`: the rows as other tools read them, each image stored once.

To add a format: write its module (copy the nearest one), then name it here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets

import rs_gpt4v
from rs_gpt4v.files import locked
from rs_gpt4v_builders import DEFAULT_CONFIG
from rs_gpt4v_builders.export import hub, llava, ms_swift, sharegpt, web_dataset
from rs_gpt4v_builders.export._folder import MARKER, claim, refuse_other
from rs_gpt4v_builders.export._images import PUT, image_names
from rs_gpt4v_builders.export._job import Material, image_paths, refuse_marked
from rs_gpt4v_evaluation.harnesses import _lmms_eval_export as lmms_eval
from rs_gpt4v_evaluation.harnesses import _vlmevalkit_export as vlmevalkit
from rs_gpt4v_evaluation.harnesses.splits import test_splits

FORMATS: dict[str, Callable[[Material], None]] = {
    "hub": hub.write,
    "llava": llava.write,
    "sharegpt": sharegpt.write,
    "ms_swift": ms_swift.write,
    "webdataset": web_dataset.write,
}
"""All rows, for whoever trains."""

HARNESSES: dict[str, Callable[[Material], None]] = {
    "lmms_eval": lmms_eval.write,
    "vlmevalkit": vlmevalkit.write,
}
"""Test rows, for whoever evaluates."""

WRITERS = FORMATS | HARNESSES

_MARKERS = {"llava": llava.MARKERS, "ms_swift": ms_swift.MARKERS}
"""What a tool takes for signs of its own, beside the markers that no row holds."""


def export(
    kind: str,
    out: Path,
    configs: Sequence[str] = (DEFAULT_CONFIG,),
    *,
    images: str = "copy",
    shard_bytes: int = web_dataset.SHARD_BYTES,
    **options: Any,
) -> Path:
    """Write ``configs`` into the folder ``out`` as one of `WRITERS`; interrupted, it goes on.

    Args:
        kind: One of `WRITERS`.
        out: A new or empty folder, or that of the same export begun earlier.
        configs: Configs or groups of ``load_dataset("rs_gpt4v", ...)``.
        images: "copy", "hardlink" or "symlink"; shards hold copies in any case.
        shard_bytes: About how large a shard is; for "webdataset" alone.
        **options: Those of ``load_dataset("rs_gpt4v", ...)``: ``data_dir``, ``protocol``, ...

    Returns:
        ``out``, absolute.

    Raises:
        ValueError: ``kind`` or ``images`` is unknown, a harness is to have what it cannot score, or
            the words of a row hold what the tool takes for a sign of its own.
        ExportFolderError: ``out`` holds something else.
        InUseError: Another export into ``out`` is at work.
        RecordError: A release is incomplete, and ``on_missing`` is "raise".
    """
    for name, given, choices in (("format", kind, WRITERS), ("images", images, PUT)):
        if given not in choices:
            raise ValueError(f"{name} {given!r}: expected one of {', '.join(choices)}")
    if shard_bytes < 1:
        raise ValueError(f"shard_bytes {shard_bytes}: expected a size above 0")
    out = out.expanduser().absolute()
    builders = {
        config: datasets.load_dataset_builder(rs_gpt4v.NAME, config, **options)
        for config in configs
    }
    root = next(iter(builders.values())).config.data_dir
    asked: dict[str, Any] = {
        "format": kind,
        "configs": list(builders),
        "images": images,
        "shard_bytes": shard_bytes,
        **options,
        "data_dir": root,
        "of": rs_gpt4v.__version__,
        # Changed releases would leave files of splits and images that are no more.
        "releases": {config: builder.hash for config, builder in builders.items()},
    }
    refuse_other(out, asked)
    built = {config: _built(builder) for config, builder in builders.items()}
    if kind in HARNESSES:
        built = test_splits(built)
    every = [rows for splits in built.values() for rows in splits.values()]
    refuse_marked(every, _MARKERS.get(kind, ()), kind)
    used = image_paths(every)
    names = image_names(used, Path(str(root)))
    asked_of_rows = options if options.get("sample") else options | {"data_dir": str(root)}
    with locked(out / MARKER):
        refuse_other(out, asked)  # another export may have come since
        claim(out, asked)  # not before: who has to mend a release may call with other options then
        WRITERS[kind](Material(built, names, out, images, shard_bytes, asked_of_rows))
    return out


def _built(builder: datasets.DatasetBuilder) -> datasets.DatasetDict:
    builder.download_and_prepare()
    rows = builder.as_dataset()
    assert isinstance(rows, datasets.DatasetDict)  # no split was asked for
    return rows
