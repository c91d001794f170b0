"""`rs-gpt4v export`: the rows as other tools read them, each image stored once.

To add a format: write its module (copy the nearest one), then name it here.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import datasets

import rs_gpt4v
from rs_gpt4v.files import AnyPath, locked
from rs_gpt4v_builders import DEFAULT_CONFIG
from rs_gpt4v_builders.builder import options_of
from rs_gpt4v_builders.export import hub, llava, ms_swift, sharegpt, web_dataset
from rs_gpt4v_builders.export._folder import MARKER, claim, refuse_other
from rs_gpt4v_builders.export.images import PUT, image_names
from rs_gpt4v_builders.export.job import ExportJob, image_paths, refuse_special_tokens

Built: TypeAlias = Mapping[str, datasets.DatasetDict]


class Format(NamedTuple):
    """A layout that some tool reads.

    Attributes:
        name: What ``rs-gpt4v export`` calls it.
        write: Writes the rows into the folder of the export.
        special_tokens: What the tool does not read as text, beside the image tokens that no row
            holds; rows with one are refused.
        chosen: Picks the splits to write from those that were built.
    """

    name: str
    write: Callable[[ExportJob], None]
    special_tokens: tuple[str, ...] = ()
    chosen: Callable[[Built], Built] = dict


FORMATS = {
    format.name: format
    for format in (
        Format("hub", hub.write),
        Format("llava", llava.write, llava.SPECIAL_TOKENS),
        Format("sharegpt", sharegpt.write),
        Format("ms_swift", ms_swift.write, ms_swift.SPECIAL_TOKENS),
        Format("webdataset", web_dataset.write),
    )
}
"""Formats of all rows, for training; `rs_gpt4v_evaluation.harnesses` has those of test rows."""


def export(
    kind: str | Format,
    out: AnyPath,
    configs: Sequence[str] = (DEFAULT_CONFIG,),
    *,
    images: str = "copy",
    shard_bytes: int = web_dataset.SHARD_BYTES,
    images_from: str | None = None,
    **options: Any,
) -> Path:
    """Write ``configs`` into the folder ``out`` as one of `FORMATS`.

    The same call continues an interrupted export.

    Args:
        kind: The name of one of `FORMATS`, or another format.
        out: A new or empty folder, or that of the same export begun earlier.
        configs: Configs or groups of ``load_dataset("rs_gpt4v", ...)``.
        images: "copy", "hardlink" or "symlink"; shards hold copies in any case.
        shard_bytes: About how large a shard is; for "webdataset" alone.
        images_from: The option ``images`` of config "folder".
        **options: Those of ``load_dataset("rs_gpt4v", ...)``: ``data_dir``, ``protocol``, ...

    Returns:
        ``out``, absolute.

    Raises:
        ValueError: ``kind`` or ``images`` is unknown, the harness cannot score a config, or a row
            holds a special token of the tool.
        ExportFolderError: ``out`` holds something else.
        InUseError: Another export into ``out`` is running.
        RecordError: A release is incomplete, and ``on_missing`` is "raise".
    """
    out = Path(out)
    if isinstance(kind, str):
        if kind not in FORMATS:
            raise ValueError(f"format {kind!r}: expected one of {', '.join(FORMATS)}")
        kind = FORMATS[kind]
    if images not in PUT:
        raise ValueError(f"images {images!r}: expected one of {', '.join(PUT)}")
    if shard_bytes < 1:
        raise ValueError(f"shard_bytes {shard_bytes}: expected a size above 0")
    out = out.expanduser().absolute()
    placed = options | {"images_from": images_from}
    options |= {"images": images_from} if images_from else {}
    builders = {
        config: datasets.load_dataset_builder(
            rs_gpt4v.NAME, config, **options_of(config, configs, options)
        )
        for config in configs
    }
    root = next(iter(builders.values())).config.data_dir
    settings: dict[str, Any] = {
        "format": kind.name,
        "configs": list(builders),
        "images": images,
        "shard_bytes": shard_bytes,
        **placed,
        "data_dir": root,
        "of": rs_gpt4v.__version__,
        # Changed releases would leave files of splits and images that are no more.
        "releases": {config: builder.hash for config, builder in builders.items()},
    }
    refuse_other(out, settings)
    built = kind.chosen({config: _built(builder) for config, builder in builders.items()})
    parts = [rows for splits in built.values() for rows in splits.values()]
    refuse_special_tokens(parts, kind.special_tokens, kind.name)
    names = image_names(image_paths(parts), Path(str(root)))
    row_options = options if options.get("sample") else options | {"data_dir": str(root)}
    with locked(out / MARKER):
        refuse_other(out, settings)  # another export may have come since
        claim(out, settings)  # not before: a release may have to be corrected first
        kind.write(ExportJob(built, names, out, images, shard_bytes, row_options))
    return out


def _built(builder: datasets.DatasetBuilder) -> datasets.DatasetDict:
    builder.download_and_prepare()
    rows = builder.as_dataset()
    assert isinstance(rows, datasets.DatasetDict)  # all splits
    return rows
