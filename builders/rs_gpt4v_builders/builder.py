"""The `datasets` builder behind ``load_dataset("rs_gpt4v", CONFIG, data_dir=...)``."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import difflib
import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import datasets
import numpy as np
import pyarrow as pa
from datasets.builder import Key

from rs_gpt4v.adapt import Adaption, Protocol
from rs_gpt4v.adapt_objects import classes_of, occurrence
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.conversation import FEATURES, SCHEMA, InvalidConversationError, check
from rs_gpt4v.files import AnyPath, read_json_lines
from rs_gpt4v.image_bands import Stretch
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v.scene_classes import two_spellings
from rs_gpt4v_builders import (
    CONFIGS,
    DEFAULT_CONFIG,
    GROUPS,
    Config,
    asks_probes,
    config_of,
    members,
    other_names,
    plug_ins,
    sources_of,
    usable,
)
from rs_gpt4v_builders.audit.exclude import LeakFinder, leak_finder
from rs_gpt4v_builders.cache_key import fingerprint
from rs_gpt4v_builders.folder.annotations import DataFiles
from rs_gpt4v_builders.folder.source import NAME as FOLDER
from rs_gpt4v_builders.folder.source import FolderOptions, folder_configs
from rs_gpt4v_builders.folder.source import check_options as check_folder_options
from rs_gpt4v_builders.sample import sample_root
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source, SourceNotFoundError, not_found
from rs_gpt4v_builders.usable_records import DroppedRecord, OnMissing, RecordError, good_records

DATA_ROOT_VARIABLE = "RS_GPT4V_DATA"
VERSION = datasets.Version("1.0.0")
logger = logging.getLogger(__name__)

_RECORDS_PER_TABLE = 50_000  # bounds memory: one table of RSVQA-HR rows is some 20 MB
_BOXES_PER_TABLE = 10_000


class NoDataRootError(ValueError):
    """Nothing says where the releases are."""


@dataclass
class RsGpt4vConfig(datasets.BuilderConfig):
    """Options of ``load_dataset("rs_gpt4v", ...)``.

    Args:
        sample: Read the embedded synthetic sample instead of ``data_dir``.
        protocol: "paper" for the rows of the paper's Table 1, "release" for all a release holds.
        on_missing: "raise" stops at the first record whose image or answer is missing or broken;
            "skip" leaves such records out, says how many, and lists them in ``dropped-*.jsonl``.
        wording: "varied" picks each row's template by its id and ``seed``, "fixed" takes the first.
        seed: Another seed words the same rows differently.
        box_format: How boxes stand in the messages: one of `rs_gpt4v.box_codecs.CODECS`.
        exclude_leaks: Leave out the train and validation rows whose image is a test image of any
            release in the data root, and list them in ``dropped-*.jsonl``.
        stretch: "percentile" makes 8 bits of deeper pixels, which are refused otherwise: the 2nd
            percentile of each band becomes 0, the 98th 255. Such a row's image is a PNG in the
            cache, in a folder that says how it was made.
        bands: Which bands of a TIFF become red, green and blue, as (3, 2, 1), or the one that
            becomes grey, as (1,); of files that are deep or have more than three.
        layout: Of config "folder", as all below: how its files are written, one of
            `rs_gpt4v_builders.folder.annotations.LAYOUTS`, or "auto", recognised by their content.
        columns: The names of a table's columns, by ours: {"caption": "text_en"}.
        images: The folder that the names of images start from, as seen from ``data_dir``.
        tasks: Which rows are made of boxes: grounding, detection, region_caption, count, presence;
            in splits other than "train" also probe_presence and probe_relation.
        probes_per_image: Of these two: how many classes or pairs of classes of an image are asked
            about at most.
        text_boxes: How boxes in the texts of dialogues are meant: a codec, "auto", recognised over
            the whole file, or "none". They are written anew only where ``box_format`` is given.
        id_prefix: What ids begin with: ids of two folders differ if this does. ``source`` is
            "folder" in any case.
    """

    sample: bool = False
    protocol: Protocol = "paper"
    on_missing: OnMissing = "raise"
    wording: Literal["varied", "fixed"] = "varied"
    seed: int = 0
    box_format: str = "llava"
    exclude_leaks: bool = False
    stretch: Stretch | None = None
    bands: tuple[int, ...] | None = None
    layout: str = "auto"
    columns: dict[str, str] | None = None
    images: str | None = None
    tasks: tuple[str, ...] | None = None
    probes_per_image: int = 3
    text_boxes: str = "auto"
    id_prefix: str = FOLDER

    @property
    def conversion(self) -> Conversion:
        """What is done with images that are not 8-bit."""
        return Conversion(self.stretch, self.bands)


UNUSABLE = (AnnotationError, InvalidConversationError, RecordError, SourceNotFoundError)
"""Errors that say why one config cannot be built; others may be."""

_FOR_THE_USER = (*UNUSABLE, NoDataRootError, OSError, ImportError)
"""Errors whose message is for whoever called ``load_dataset``."""

_CHOICES = {
    "protocol": get_args(Protocol),
    "on_missing": get_args(OnMissing),
    "wording": ("varied", "fixed"),
    "box_format": tuple(CODECS),
}
_TYPES: dict[str, type] = {
    "sample": bool,
    "exclude_leaks": bool,
    "seed": int,
    "probes_per_image": int,
}
_TYPE_WORDS: dict[type, str] = {bool: "True or False", int: "a whole number"}
_OF_FOLDER = ("layout", "columns", "images", "tasks", "text_boxes", "id_prefix", "data_files")


def _titles(name: str) -> str:
    if name == FOLDER:
        return "a folder of your own files"
    if name in other_names():  # its package is imported where its rows are asked for
        return f"of the package {plug_ins.package(plug_ins.found()[name][0])}"
    return ", ".join(source.title for source in sources_of(name))


class RsGpt4v(datasets.ArrowBasedBuilder):
    """Builds conversations from the releases in ``data_dir`` (or ``$RS_GPT4V_DATA``)."""

    VERSION = VERSION
    BUILDER_CONFIG_CLASS = RsGpt4vConfig
    BUILDER_CONFIGS: ClassVar[list[datasets.BuilderConfig]] = [
        RsGpt4vConfig(name=name, version=VERSION, description=_titles(name))
        for name in (*CONFIGS, *GROUPS, FOLDER, *other_names())
    ]
    DEFAULT_CONFIG_NAME = DEFAULT_CONFIG
    # Fewer, larger record batches than the default 1,000: 625,340 rows open in 20 ms, not 150.
    DEFAULT_WRITER_BATCH_SIZE = 10_000
    config: RsGpt4vConfig

    def __init__(
        self, *, config_name: str | None = None, data_dir: str | None = None, **kwargs: Any
    ) -> None:
        config_name = config_name or DEFAULT_CONFIG
        for name in ("bands", "tasks"):
            if isinstance(kwargs.get(name), list):  # a recipe has no tuples
                kwargs[name] = tuple(kwargs[name])
        for name in ("stretch", "bands", *_OF_FOLDER):
            if kwargs.get(name, "") is None:  # `datasets` would keep its rows apart
                del kwargs[name]
        _check_options(config_name, kwargs)
        root = _root(config_name, data_dir, kwargs)
        # `datasets` would look for patterns of file names.
        data_files = kwargs.pop("data_files", None)
        self.configs = _configs(config_name, root, kwargs, data_files)
        sources = _sources(self.configs)
        # Without a hash of our own, `datasets` would serve rows of older code or older raw files.
        # Which rows leak depends on the images of every release.
        leaks = bool(kwargs.get("exclude_leaks"))
        kwargs["hash"] = fingerprint(
            [*sources_of(*usable()), *sources] if leaks else sources,
            root,
            code=_code_of_others(config_name, leaks=leaks),
            leaks=leaks,
            # Releases stay as they are; one's own images are edited, and boxes checked by them.
            images=config_name == FOLDER
            or leaks
            or kwargs.get("on_missing") == "skip"
            or _conversion(kwargs) != AS_IS,
        )
        super().__init__(config_name=config_name, data_dir=root and str(root), **kwargs)

    @property
    def members(self) -> tuple[str, ...]:
        """The configs that this one is made of: itself, where it is no group."""
        return members(self.config.name)

    @property
    def tasks(self) -> list[str]:
        """What the rows are made into: the names of functions of `rs_gpt4v.adapt`."""
        return [config.adapt.__name__ for config in self.configs]

    def _info(self) -> datasets.DatasetInfo:
        used = _sources(self.configs)
        return datasets.DatasetInfo(
            description=_titles(self.config.name),
            features=FEATURES,
            homepage=", ".join(dict.fromkeys(source.homepage for source in used)),
            license=", ".join(dict.fromkeys(source.license for source in used)),
            citation="\n\n".join(dict.fromkeys(source.citation for source in used)),
        )

    def _split_generators(self, _: object) -> list[datasets.SplitGenerator]:
        if not self.configs:
            raise NoDataRootError(f"{FOLDER}: give data_dir=... (--data-dir), the folder to read")
        in_split: dict[str, list[int]] = {}
        for index, config in enumerate(self.configs):
            for split in config.splits(self.config.protocol):
                in_split.setdefault(split, []).append(index)
        if not in_split:
            raise ValueError(
                f"{self.config.name}: there is nothing but training images, and probes are for "
                'evaluation alone: name a file test, or give data_files={"test": ...}'
            )
        leaks = self._leak_finder()
        # `datasets` shares a list among its processes, and joins their rows in its order.
        return [
            datasets.SplitGenerator(
                name=split,
                gen_kwargs={
                    "split": split,
                    "configs": configs,
                    "leaks": None if split.startswith("test") else leaks,
                },
            )
            for split, configs in in_split.items()
        ]

    def _leak_finder(self) -> LeakFinder | None:
        if not self.config.exclude_leaks or self.config.data_dir is None:
            return None
        root = Path(self.config.data_dir)
        sources = [*sources_of(*usable()), *_sources(self.configs)]
        return leak_finder(
            root, sources, self.config.protocol, self._cache_dir_root, self.config.conversion
        )

    def download_and_prepare(self, *args: Any, **kwargs: Any) -> None:
        # Before the build: it says itself what it leaves out.
        self._remind_of_dropped()
        try:
            super().download_and_prepare(*args, **kwargs)
        except datasets.exceptions.DatasetGenerationError as error:
            # `datasets` hides the reason in the cause; a person reads the last line.
            if isinstance(error.__cause__, _FOR_THE_USER):
                raise error.__cause__ from None
            raise

    def _remind_of_dropped(self) -> None:
        """Say what an earlier build left out of the rows that are served again, or changed."""
        for name, verb in (("dropped", "left out"), ("changed", "changed")):
            for file in sorted(Path(self.cache_dir).glob(f"{name}-*.jsonl")):
                count = f"{len(file.read_bytes().splitlines()):,}"
                message = "%s: %s records were %s when it was built, see %s"
                logger.warning(message, self.config.name, count, verb, file)

    def _download_and_prepare(self, *args: Any, **kwargs: Any) -> None:
        if self.config.on_missing == "raise":  # before the first progress bar
            for source in _sources(self.configs):
                self._release_folder(source)
        super()._download_and_prepare(*args, **kwargs)
        splits: Any = self.info.splits
        empty = [name for name, split in splits.items() if not split.num_examples]
        if empty and self.config.on_missing == "raise":
            is_of_boxes = self.config.name == FOLDER or asks_probes(self.config.name)
            raise RecordError(
                f"{self.config.name}: no record of split {empty[0]!r} in {self.config.data_dir}"
                + (", or none with an object to ask about. " if is_of_boxes else ". ")
                + 'Complete it, or give on_missing="skip" (on a command '
                "line: --on-missing skip) to go on without that split."
                + (" exclude_leaks=True may have left none." if self.config.exclude_leaks else "")
            )
        for name in empty:
            logger.warning("%s: split %s is left out, no usable record", self.config.name, name)
            del splits[name]  # `datasets` cannot open a split without rows
        if not splits:
            raise RecordError(
                f"{self.config.name}: no usable record in {self.config.data_dir}: "
                f"{self._why_nothing_is_left()}"
            )

    def _why_nothing_is_left(self) -> str:
        """Of each split whose files hold records, how many were left out, and the first reason."""
        reasons = [
            f"{file.stem.removeprefix('dropped-')}: {len(lines):,} left out, the first because "
            f"{lines[0]['reason']}"
            for file in sorted(Path(str(self._output_dir)).glob("dropped-*.jsonl"))
            if (lines := list(read_json_lines(file, DroppedRecord)))
        ]
        if self.config.name == FOLDER and not reasons:
            return "its annotation files hold none"
        return "; ".join(reasons) or (
            "its files are missing or hold no record; "
            f"`rs-gpt4v sources {self.config.name} --data-dir ...` says what is missing"
        )

    def _generate_tables(
        self, split: str, configs: list[int], leaks: LeakFinder | None
    ) -> Iterator[tuple[Key, pa.Table]]:
        # Configs of one source stand together: its records are read once for all of them.
        by_source = itertools.groupby(
            enumerate(configs), lambda shard: self.configs[shard[1]].source.name
        )
        for _, group in by_source:
            shards = list(group)
            records = self._records(self.configs[shards[0][1]].source, split, leaks)
            for shard, index in shards:
                for part, rows in enumerate(self.tables(self.configs[index], split, records)):
                    yield Key(shard, part), rows

    def _records(self, source: Source, split: str, leaks: LeakFinder | None) -> pa.Table:
        """The usable records of a split; none where the source is absent and to be skipped."""
        folder = self._release_folder(source)
        if folder is None:
            return pa.table({})
        return good_records(
            source,
            folder,
            split,
            protocol=self.config.protocol,
            on_missing=self.config.on_missing,
            log_dir=self._log_dir(),
            leaks=leaks,
            cache=self._cache_dir_root,
            conversion=self.config.conversion,
        )

    def tables(self, config: Config, split: str, records: pa.Table) -> Iterator[pa.Table]:
        """The rows of one config, some at a time."""
        adaption = Adaption(
            prefix=f"{config.source.name}/{split}/",
            split=split,
            protocol=self.config.protocol,
            seed=self.config.seed if self.config.wording == "varied" else None,
            box_format=self.config.box_format,
            probes_per_image=self.config.probes_per_image,
            **_of_objects(records, config.source),
        )
        step = _RECORDS_PER_TABLE
        if "boxes" in records.column_names:
            boxes = len(records["boxes"].combine_chunks().flatten())
            step = min(step, 1 + _BOXES_PER_TABLE * len(records) // max(1, boxes))
        for start in range(0, len(records), step):
            part = records.slice(start, step)
            source = FOLDER if self.config.name == FOLDER else config.source.name
            rows = _complete(config.adapt(part, adaption), source)
            check(rows)
            yield rows

    def _release_folder(self, source: Source) -> Path | None:
        """Where a source lies; None where it is absent, of a group, and to be skipped.

        Raises:
            NoDataRootError: Nothing says where the releases are.
            SourceNotFoundError: It is absent; all of a group's absent sources are named.
        """
        if self.config.data_dir is None:
            raise NoDataRootError(
                f"{source.title}: no data root. Give data_dir=..., set {DATA_ROOT_VARIABLE}, "
                "or take sample=True (--sample) to try without data."
            )
        root = Path(self.config.data_dir)
        folder = source.find(root)
        if folder is None and self.config.name in GROUPS:
            absent = [s.title for s in sources_of(self.config.name) if s.find(root) is None]
            if self.config.on_missing == "skip" and len(absent) < len(sources_of(self.config.name)):
                logger.warning(
                    "%s: %s is left out, not in %s", self.config.name, source.title, root
                )
                return None
            others = len(absent) < len(sources_of(self.config.name))
            raise SourceNotFoundError(
                f"{not_found(source, root)} Absent of {self.config.name!r}: {'; '.join(absent)}."
                + (' on_missing="skip" (--on-missing skip) goes on without them.' if others else "")
            )
        if folder is None:
            raise not_found(source, root)
        return folder

    def _log_dir(self) -> Path | None:
        """Where the list of dropped records goes: beside the rows, none when streaming."""
        return Path(str(self._output_dir)) if self._output_dir != self.cache_dir else None


def _root(config_name: str, data_dir: str | None, options: Mapping[str, Any]) -> Path | None:
    """What is read: of "folder" no other than ``data_dir``, and no sample."""
    is_sample = bool(options.get("sample"))
    if config_name == FOLDER and is_sample:
        raise ValueError(f"sample=True has no config {FOLDER!r}, which reads your own files")
    if config_name == FOLDER and data_dir is None:
        return None
    if not is_sample:
        return data_root(data_dir)
    if config_name in other_names():
        raise SourceNotFoundError(f"{config_name}: {_titles(config_name)}, not in the sample")
    # Which rows leak depends on the images of every release.
    read = sources_of(*CONFIGS) if options.get("exclude_leaks") else sources_of(config_name)
    return data_root(data_dir, sample=True, cache_dir=options.get("cache_dir"), sources=read)


def _configs(
    name: str, root: Path | None, options: Mapping[str, Any], data_files: DataFiles | None
) -> tuple[Config, ...]:
    """What a config or group is made of; nothing where it is a folder that is not said."""
    if name != FOLDER:
        return tuple(config_of(member) for member in members(name))
    if root is None:
        return ()
    given = {key: options[key] for key in (*_OF_FOLDER, "box_format") if key in options}
    return folder_configs(
        root, FolderOptions(**given, data_files=data_files, conversion=_conversion(options))
    )


def _code_of_others(config_name: str, *, leaks: bool) -> list[Path]:
    """The files of other packages on which the rows depend."""
    read = usable() if leaks else members(config_name)
    return [file for name in other_names() if name in read for file in plug_ins.code(name)]


def _sources(configs: Iterable[Config]) -> list[Source]:
    """The sources of configs, each once, in their order."""
    return list({config.source.name: config.source for config in configs}.values())


def _check_name(config_name: str) -> None:
    """Raise ValueError for an unknown config, with what was meant instead."""
    known = (*CONFIGS, *GROUPS, FOLDER, *other_names())
    if config_name not in known:
        near = difflib.get_close_matches(config_name, known)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(
            f"rs_gpt4v has no config {config_name!r}.{meant} There are: {', '.join(known)}"
        )


def _check_options(config_name: str, options: dict[str, Any]) -> None:
    """Raise ValueError for an unknown config or option value, with what was meant instead."""
    _check_name(config_name)
    for name, kind in _TYPES.items():
        if name in options and type(options[name]) is not kind:
            raise ValueError(f"{name}={options[name]!r}: expected {_TYPE_WORDS[kind]}")
    _check_probes(config_name, options)
    check_choices(options)
    _conversion(options)
    given = {name: options[name] for name in _OF_FOLDER if name in options}
    if given and config_name != FOLDER:
        raise ValueError(f"{', '.join(given)}: for the config {FOLDER!r}, not {config_name!r}")
    check_folder_options(FolderOptions(**given))


def _check_probes(config_name: str, options: Mapping[str, Any]) -> None:
    number = options.get("probes_per_image")
    if number is None:
        return
    if number < 1:
        raise ValueError(f"probes_per_image={number}: expected 1 or more")
    if not asks_probes(config_name, options.get("tasks")):
        raise ValueError(
            f"probes_per_image={number}: for {', '.join(GROUPS['probes'])} and for {FOLDER!r} with "
            f"these among its tasks, not for {config_name!r}, which has no probes: leave it out"
        )


def options_of(config: str, configs: Iterable[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """What ``config`` takes of the options that are given for all ``configs``.

    ``probes_per_image`` is for those with probes. Where none has any it stays, to be refused.

    Raises:
        ValueError: There is no config of one of these names.
    """
    configs = tuple(configs)
    for name in configs:
        _check_name(name)
    with_probes = [name for name in configs if asks_probes(name, options.get("tasks"))]
    left_out = "probes_per_image" if with_probes and config not in with_probes else ""
    return {name: value for name, value in options.items() if name != left_out}


def _conversion(options: Mapping[str, Any]) -> Conversion:
    return Conversion(options.get("stretch"), options.get("bands"))


def check_choices(options: Mapping[str, Any]) -> None:
    """Raise ValueError for an option that has none of its values: protocol, on_missing, ..."""
    for name, choices in _CHOICES.items():
        if options.get(name) is not None and options[name] not in choices:
            raise ValueError(f"{name}={options[name]!r}: expected one of {', '.join(choices)}")


def data_root(
    data_dir: AnyPath | None,
    *,
    sample: bool = False,
    cache_dir: str | None = None,
    sources: Iterable[Source] | None = None,
) -> Path | None:
    """The folder of the releases: ``data_dir``, that of the environment, or the sample's own.

    Args:
        data_dir: The folder, where one is given.
        sample: Take the sample's, and draw what is missing of it.
        cache_dir: The cache folder of `datasets`, in which the sample is.
        sources: What is to be drawn of the sample; all where None.

    Raises:
        NoDataRootError: It is no folder.
        ValueError: The sample is asked for, and a folder as well.
    """
    if sample:
        if data_dir is not None:
            raise ValueError(
                "sample=True reads the embedded sample, and data_dir your own releases: leave one "
                "out (where a recipe says sample: true, add --sample false)"
            )
        return sample_root(Path(cache_dir or datasets.config.HF_DATASETS_CACHE), sources)
    chosen = data_dir or os.environ.get(DATA_ROOT_VARIABLE)
    if not chosen:
        return None
    root = Path(chosen).expanduser().absolute()
    try:
        str(root).encode()
    except UnicodeEncodeError:
        raise NoDataRootError(
            f"{os.fsencode(root)!r}: the name is not UTF-8, which rows cannot hold: rename the "
            "folder, or give a link to it"
        ) from None
    if not root.is_dir():
        raise NoDataRootError(
            f"{root} is no folder: give the releases' parent folder as data_dir=... (--data-dir) "
            f"or in {DATA_ROOT_VARIABLE}"
        )
    return root


def _of_objects(records: pa.Table, source: Source) -> dict[str, Any]:
    """What an `Adaption` says of the objects of a split.

    Raises:
        AnnotationError: A class is spelt in two ways, so that an image may seem to lack it.
    """
    if "boxes" not in records.column_names:
        return {}
    classes = classes_of(records)
    has = occurrence(records, classes)
    if pair := two_spellings(classes):
        first = (int(has[:, classes.index(label)].argmax()) for label in pair)
        places = [_place(records.slice(row, 1).to_pylist()[0]) for row in first]
        raise AnnotationError(
            f"{source.title}: {pair[0]!r} ({places[0]}) and {pair[1]!r} ({places[1]}) are one "
            "class in two spellings, whose objects would be counted apart: write it in one way"
        )
    counts = has.astype(np.int64)
    return {"classes": classes, "together": counts.T @ counts}


def _place(record: Mapping[str, Any]) -> str:
    return f"first in {record.get('where') or 'image ' + record['image']}"


def _complete(rows: pa.Table, source: str) -> pa.Table:
    """Put paths and sizes of images, and the source, into the schema's order and types."""
    n = rows.num_rows
    columns = {name: rows[name] for name in rows.column_names} | {
        "images": _images(rows),
        "source": pa.repeat(source, n),
        "modality": pa.repeat("optical", n),
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _images(rows: pa.Table) -> pa.Array:
    """The paths of each row's images: one, several or none."""
    path = rows["path"].combine_chunks()
    counts = path.is_valid().to_numpy(False).astype(np.int32)
    paths = path.drop_null()
    if "further_paths" in rows.column_names and rows["further_paths"].null_count < len(rows):
        further = rows["further_paths"].to_pylist()
        lists = [
            [first, *(rest or [])] for first, rest in zip(path.to_pylist(), further, strict=True)
        ]
        lists = [[p for p in some if p is not None] for some in lists]
        counts = np.array([len(some) for some in lists], np.int32)
        paths = pa.array([p for some in lists for p in some], pa.string())
    nothing = pa.nulls(len(paths), pa.binary())
    image = pa.StructArray.from_arrays([nothing, paths], names=["bytes", "path"])
    offsets = np.concatenate([[0], counts.cumsum()]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), image)
