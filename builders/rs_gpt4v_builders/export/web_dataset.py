"""WebDataset shards, to stream at scale: an image and all that is asked about it are one sample.

On disk::

    <split>-000000.tar   train-00000000.tif    an image, the bytes as released (or turned)
                         train-00000000.json   {"image", "width", "height", "rows": [...]}
    README.md            the columns' types, for ``datasets.load_dataset(OUT, streaming=True)``

An image is once in a split's shards, whatever number of configs have rows on it: ``rows`` are all
of them, in the order of the configs, each with every column of ours but the image's. Samples are in
the order in which the images first occur. Shards are the same bytes in every export.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import io
import json
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow.compute as pc
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from rs_gpt4v.conversation import FEATURES
from rs_gpt4v.files import replacing
from rs_gpt4v.images import read_file, upright_file
from rs_gpt4v_builders import members
from rs_gpt4v_builders.export.job import ExportJob

SHARD_BYTES = 500_000_000

_OF_IMAGE = ("width", "height")
_OF_ROW = tuple(name for name in FEATURES if name not in ("images", *_OF_IMAGE))


class Sample(NamedTuple):
    """What one image gives: its key in the shard, its file, and the JSON about it."""

    key: str
    path: Path
    about: bytes

    def members(self) -> Iterator[tuple[str, int]]:
        """Names and sizes of its two files in a shard."""
        yield f"{self.key}{self.path.suffix.lower()}", self.path.stat().st_size
        yield f"{self.key}.json", len(self.about)


def write(job: ExportJob) -> None:
    """Write the shards of each split; one that is there and whole is left alone.

    Raises:
        ValueError: Two of the configs have the same rows, such as a group and its member; or a row
            has no image, or several.
    """
    _refuse_overlap(list(job.configs))
    for name, rows in job.splits():
        _refuse_other_numbers(name, rows)
    splits = list(dict.fromkeys(str(split) for of in job.configs.values() for split in of))
    for split in splits:
        count = 0
        for count, samples in enumerate(_shards(job, split), start=1):
            _write_shard(job.out / f"{split}-{count - 1:06d}.tar", samples)
        for older in job.out.glob(f"{split}-[0-9]*.tar"):
            if int(older.stem.removeprefix(f"{split}-")) >= count:
                older.unlink()  # of rows that have changed since
    _write_readme(job, splits)


def _refuse_overlap(configs: list[str]) -> None:
    every = [member for config in configs for member in members(config)]
    twice = sorted({member for member in every if every.count(member) > 1})
    if twice:
        raise ValueError(
            f"{', '.join(twice)}: given twice, alone or in a group; a row goes in once"
        )


def _refuse_other_numbers(name: str, rows: datasets.Dataset) -> None:
    table: Any = rows.select_columns(["id", "images"]).with_format("arrow")[:]
    numbers = pc.list_value_length(table["images"])
    others = np.flatnonzero(pc.not_equal(numbers, 1).to_numpy())
    if len(others):
        row = int(others[0])
        raise ValueError(
            f"{table['id'][row]} has {numbers[row]} images, and a sample of a shard is one image "
            f"with its rows ({len(others):,} such rows in {name}): export llava, sharegpt, "
            "ms_swift or hub instead"
        )


def _shards(job: ExportJob, split: str) -> Iterator[list[Sample]]:
    shard: list[Sample] = []
    size = 0
    for sample in _samples(job, split):
        shard.append(sample)
        size += sum(size for _, size in sample.members())
        if size >= job.shard_bytes:
            yield shard
            shard, size = [], 0
    if shard:
        yield shard


def _samples(job: ExportJob, split: str) -> Iterator[Sample]:
    """One sample an image, in the order of first use."""
    files = {name: path for path, name in job.names.items()}
    rows = job.rows(_by_image(job, split), f"{split} shards")
    grouped = groupby(rows, key=lambda row: row["images"][0])
    for index, (image, on_it) in enumerate(grouped):
        about: dict[str, Any] = {"image": image, "rows": []}
        for row in on_it:
            about |= {name: row[name] for name in _OF_IMAGE}
            about["rows"].append({name: row[name] for name in _OF_ROW})
        text = json.dumps(about, ensure_ascii=False).encode()
        # Neither tool takes a key with a dot in it; a number also keeps the header short.
        yield Sample(f"{split}-{index:08d}", Path(files[image]), text)


def _by_image(job: ExportJob, split: str) -> datasets.Dataset:
    """All rows of a split, those on one image together."""
    parts = [of_config[split] for of_config in job.configs.values() if split in of_config]
    rows = datasets.concatenate_datasets(parts)
    table: Any = rows.select_columns("images").with_format("arrow")[:]
    paths = pc.struct_field(pc.list_flatten(table["images"]), "path").combine_chunks()
    of_row = paths.dictionary_encode().indices.to_numpy()
    if (np.diff(of_row) >= 0).all():
        return rows
    return rows.select(np.argsort(of_row, kind="stable"))


def _write_shard(path: Path, samples: list[Sample]) -> None:
    if path.is_file() and _holds(path, samples):
        return
    with (
        replacing(path) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as shard,
    ):
        for sample in samples:
            (image, _), (about, length) = sample.members()
            content = upright_file(sample.path) or read_file(sample.path)
            shard.addfile(_header(image, len(content)), io.BytesIO(content))
            shard.addfile(_header(about, length), io.BytesIO(sample.about))


def _header(name: str, size: int) -> tarfile.TarInfo:
    """A header without time, owner or anything else that differs between exports."""
    header = tarfile.TarInfo(name)
    header.size = size
    return header


def _holds(path: Path, samples: list[Sample]) -> bool:
    """Whether a shard has just these samples: images by their size, texts byte by byte."""
    try:
        with tarfile.open(path, mode="r:") as shard:
            infos = shard.getmembers()
            texts: list[Any] = [shard.extractfile(info) for info in infos[1::2]]
            return [(i.name, i.size) for i in infos] == [
                pair for sample in samples for pair in sample.members()
            ] and [text.read() for text in texts] == [sample.about for sample in samples]
    except tarfile.TarError:
        return False


def _write_readme(job: ExportJob, splits: list[str]) -> None:
    """Say the columns' types: `datasets` guesses them from five samples, and fails on the sixth."""
    suffixes = sorted({Path(path).suffix.lower()[1:] for path in job.names})
    of_row = {name: FEATURES[name] for name in _OF_ROW}
    about = {"image": datasets.Value("string"), "rows": datasets.List(of_row)}
    columns = {
        **{suffix: datasets.Image() for suffix in suffixes},
        "json": about | {name: FEATURES[name] for name in _OF_IMAGE},
        **{name: datasets.Value("string") for name in ("__key__", "__url__")},
    }
    head = DatasetCardData(pretty_name="RS-GPT4V shards")
    files = [{"split": split, "path": f"{split}-[0-9]*.tar"} for split in splits]
    MetadataConfigs({"default": {"data_files": files}}).to_dataset_card_data(head)
    info = datasets.DatasetInfo(features=datasets.Features(columns))
    datasets.info.DatasetInfosDict({"default": info}).to_dataset_card_data(head)
    with replacing(job.out / "README.md") as file:
        file.write(f"---\n{head}\n---\n\n# RS-GPT4V shards\n{_USE}".encode())


_USE = """
Written by `rs-gpt4v export webdataset`: an image and all its rows are one sample.

```python
from datasets import load_dataset
rows = load_dataset("THIS_FOLDER", split="train", streaming=True)

import webdataset as wds  # a TIFF is opened with PIL, as all else is
rows = wds.WebDataset("THIS_FOLDER/train-{000000..000009}.tar", shardshuffle=100)
rows = rows.decode("pil").rename(image="tif;jpg;png", json="json")
```
"""
