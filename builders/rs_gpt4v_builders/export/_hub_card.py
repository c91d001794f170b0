"""The card of a Hub export: its head is for `datasets`, its text for people."""

import bisect
from collections.abc import Iterable
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import datasets
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

import rs_gpt4v
from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_builders import DEFAULT_CONFIG, config_of, members, sources_of, usable
from rs_gpt4v_builders.card import LIMITS, PAPER, USE, sources_table
from rs_gpt4v_builders.croissant import of_rows
from rs_gpt4v_builders.export.images import FOLDER
from rs_gpt4v_builders.export.job import ExportJob, image_paths
from rs_gpt4v_builders.folder.source import NAME as OWN
from rs_gpt4v_builders.usable_records import cache_folder, dropped, lists

_TASKS = {
    "caption": "image-to-text",
    "detail": "image-to-text",
    "vqa": "visual-question-answering",
    "grounding": "object-detection",
    "detection": "object-detection",
    "scenes": "image-classification",
}
_TAGS = ["remote-sensing", "earth-observation", "instruction-tuning", "vision-language"]
_IN_SHORT = "Conversations about remote-sensing images, in one instruction-following schema."
_SYNTHETIC_IN_SHORT = f"{_IN_SHORT} Synthetic: drawn by a program, to try code without data."
_PAPER_URL = "https://arxiv.org/abs/2406.12479"
_PAPER_ENTRY = PAPER.split(",")[0]
_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_SIZE_NAMES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")


def card(job: ExportJob) -> str:
    """The README.md of the repository."""
    return f"---\n{_head(job)}\n---\n\n{_text(job)}"


def croissant(job: ExportJob) -> dict[str, Any]:
    """The same for machines: croissant.json."""
    own = _is_own(job)
    return of_rows(
        job.out,
        {name: job.out / f"{name}.parquet" for name, _ in job.splits()},
        sorted(job.names.values()),
        [] if own else sources_of(*_configs(job)),
        name=_title(job),
        description=_SYNTHETIC_IN_SHORT if job.sample else _IN_SHORT,
        url=None if own else _PAPER_URL,
        citeAs=None if own else "\n\n".join(_citations(_configs(job))),
        keywords=_TAGS + ["synthetic"] * job.sample,
        version=rs_gpt4v.__version__,
    )


def _head(job: ExportJob) -> DatasetCardData:
    rows = sum(rows.num_rows for _, rows in job.splits())
    head = DatasetCardData(
        pretty_name=_title(job),
        license="unknown" if _is_own(job) else "other",
        license_name=None if _is_own(job) else "per-source",
        language="en",
        task_categories=_task_categories(job),
        size_categories=_SIZE_NAMES[bisect.bisect_right(_SIZES, rows)],
        tags=_TAGS + ["synthetic"] * job.sample,
    )
    configs = {config: _data_files(job, config) for config in job.configs}
    MetadataConfigs(configs).to_dataset_card_data(head)
    infos = {config: _info(job, config) for config in job.configs}
    DatasetInfosDict(infos).to_dataset_card_data(head)
    return head


def _task_categories(job: ExportJob) -> list[str]:
    tasks = {task for _, rows in job.splits() for task in rows.unique("task")}
    return sorted({"image-text-to-text", *(_TASKS[t] for t in tasks if t in _TASKS)})


def _data_files(job: ExportJob, config: str) -> dict[str, Any]:
    """For "imagefolder": the rows' files, and the folders of the images they name."""
    splits = job.configs[config]
    files = [
        {"split": split, "path": [f"{config}-{split}.parquet", *_patterns(job, rows)]}
        for split, rows in splits.items()
    ]
    return {
        "data_files": files,
        "metadata_filenames": [f"{config}-{split}.parquet" for split in splits],
        "drop_labels": True,
    } | ({"default": True} if config == DEFAULT_CONFIG else {})


def _patterns(job: ExportJob, rows: datasets.Dataset) -> list[str]:
    names = (job.names[path] for path in image_paths([rows]))
    return sorted({_pattern(PurePosixPath(name)) for name in names})


def _pattern(image: PurePosixPath) -> str:
    """The release's folder of an image; names in an export have nothing that a glob takes up."""
    release = image.parts[1:-1][:1]
    return f"{FOLDER}/{release[0]}/**" if release else f"{FOLDER}/*"


def _info(job: ExportJob, config: str) -> datasets.DatasetInfo:
    splits = job.configs[config]
    built: Any = next(iter(splits.values())).info.splits
    files = [job.out / f"{config}-{split}.parquet" for split in splits]
    images = image_paths(splits.values())
    return datasets.DatasetInfo(
        features=FEATURES,
        splits=built,
        download_size=_size(files) + _size(map(Path, images)),
        dataset_size=sum(split.num_bytes for split in built.values()),
    )


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _title(job: ExportJob) -> str:
    return PurePath(str(job.options["data_dir"])).name if _is_own(job) else "RS-GPT4V"


def _is_own(job: ExportJob) -> bool:
    """Whether all rows are of a user's own files, of which we know neither licence nor use."""
    return list(job.configs) == [OWN]


def _text(job: ExportJob) -> str:
    if _is_own(job):
        return _OWN_TEXT.format(title=_title(job), rows=_rows(job), left_out=_left_out(job))
    return _TEXT.format(
        synthetic=_SYNTHETIC if job.sample else "",
        url=_PAPER_URL,
        config=next(iter(job.configs)),
        sources=sources_table(_configs(job)),
        rows=_rows(job),
        left_out=_left_out(job),
        use=USE,
        limits=LIMITS,
        citations="\n\n".join(_citations(_configs(job))),
    )


def _configs(job: ExportJob) -> list[str]:
    """The configs that the rows are of: of a group, what could be built."""
    every = {member for config in job.configs for member in members(config)}
    built = {
        source
        for splits in job.configs.values()
        for rows in splits.values()
        for source in rows.unique("source")
    }
    return [name for name in usable() if name in every and config_of(name).source.name in built]


def _citations(configs: list[str]) -> list[str]:
    """BibTeX of the paper and of each source, once; RS-GPT4V-Instruct's is the paper's."""
    of_sources = [config_of(name).source.citation for name in configs]
    return [PAPER, *dict.fromkeys(c for c in of_sources if not c.startswith(_PAPER_ENTRY))]


def _rows(job: ExportJob) -> str:
    lines = [
        f"| `{config}` | {split} | {rows.num_rows:,} |"
        for config, splits in job.configs.items()
        for split, rows in splits.items()
    ]
    return "\n".join(["| config | split | rows |", "|---|---|---|", *lines])


def _left_out(job: ExportJob) -> str:
    """Which records of the releases the rows lack (``on_missing="skip"``, ``exclude_leaks``)."""
    lines = [
        f"| `{config}` | {split} | {source} | {count:,} | {reason} |"
        for config, splits in job.configs.items()
        for source, split in lists(cache_folder(splits))
        for reason, count in dropped(cache_folder(splits), source, split).items()
    ]
    if not lines:
        return "No record was left out."
    head = ["| config | split | source | records left out | why |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines])


_SYNTHETIC = """
**Synthetic.** These images were drawn by a program, to try code without data. They show nothing
real.
"""

_TEXT = """# RS-GPT4V
{synthetic}
Conversations about remote-sensing images, unified from published datasets into one
instruction-following schema, after RS-GPT4V (Xu et al., 2024,
[arXiv 2406.12479]({url})); written by `rs-gpt4v export hub`.

```python
from datasets import load_dataset

rows = load_dataset("THIS_REPOSITORY", "{config}")
```

{rows}

{left_out}

One row is one conversation about one image: `id`, `images`, `messages` (`role`, `content`),
`source`, `task`, `question_type`, `modality`, `references` (all accepted answers), `boxes` (pixels
of the released image), `width`, `height`. Each image is stored once, as its source released it,
whatever number of rows name it.

## Sources and licences

Each source keeps its own terms. "unknown" means that its authors state none where we looked: ask
them before you redistribute anything.

{sources}
## Intended use

{use}
## Limits and bias

{limits}
## Citation

Cite RS-GPT4V and each source that you use.

```bibtex
{citations}
```
"""

_OWN_TEXT = f"""# {{title}}

Conversations about remote-sensing images, written by `rs-gpt4v export hub`.

```python
from datasets import load_dataset

rows = load_dataset("THIS_REPOSITORY", "{OWN}")
```

{{rows}}

{{left_out}}

One row is one conversation: `id`, `images`, `messages` (`role`, `content`), `source`, `task`,
`question_type`, `modality`, `references` (all accepted answers), `boxes` (pixels of the image),
`width`, `height`. Each image is stored once, whatever number of rows name it.

## Source and licence

Say here where the images and annotations come from, and on what terms others may use them.
"""
