"""A repository for the Hub: plain `datasets` reads it, without this package.

On disk::

    README.md                  the card; its head says which files are which config and split
    croissant.json             the same for machines
    <config>-<split>.parquet   the rows; ``images_file_names`` names files below
    images/

``load_dataset(OUT, CONFIG)`` is `datasets`' own "imagefolder": it makes ``images`` of
``images_file_names``, by path, and all other columns are ours as they are.
"""

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import HfApi

from rs_gpt4v.conversation import SCHEMA
from rs_gpt4v.files import UNFINISHED, AnyPath, replacing
from rs_gpt4v_builders.export._folder import LOCK, MARKER
from rs_gpt4v_builders.export._hub_card import card, croissant
from rs_gpt4v_builders.export.job import ExportJob

_PARQUET_SCHEMA = pa.schema(
    [
        pa.field("images_file_names", pa.list_(pa.string())) if field.name == "images" else field
        for field in SCHEMA.remove_metadata()  # `datasets` would take "images" from it
    ]
)


def write(job: ExportJob) -> None:
    """Write images, Parquet files, and last the descriptions."""
    job.store_images()
    for name, rows in job.splits():
        _write_parquet(job, rows, name)
    description = json.dumps(croissant(job), indent=1, ensure_ascii=False) + "\n"
    with replacing(job.out / "croissant.json") as file:
        file.write(description.encode())
    with replacing(job.out / "README.md") as file:
        file.write(card(job).encode())


def _write_parquet(job: ExportJob, rows: datasets.Dataset, name: str) -> None:
    with (
        replacing(job.out / f"{name}.parquet") as file,
        pq.ParquetWriter(file, _PARQUET_SCHEMA, compression="zstd") as parquet,
    ):
        for table in job.tables(rows, name):
            columns = table.rename_columns({"images": "images_file_names"})
            parquet.write_table(columns.cast(_PARQUET_SCHEMA))


def push(folder: AnyPath, repo: str, *, private: bool = True) -> str:
    """Upload an export to the Hub; files that are there already are not sent again.

    Args:
        folder: Where `write` wrote.
        repo: ``USER/NAME``; created where it is not there. One that is there stays as public or
            private as it is.
        private: A new repository is seen by you alone: most sources state no licence that would
            let you redistribute them.

    Returns:
        The repository's page.

    Raises:
        OSError: The Hub refuses, or cannot be reached; the message is the Hub's.
    """
    folder = Path(folder)
    hub = HfApi()
    page = hub.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
    hub.upload_folder(
        repo_id=page.repo_id,
        repo_type="dataset",
        folder_path=folder,
        ignore_patterns=[MARKER, LOCK, f"*{UNFINISHED}"],
        commit_message="Export with rs-gpt4v",
    )
    return str(page)
