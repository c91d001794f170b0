"""A user's folder as a source with its configs, to be built as any release."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.files import relative
from rs_gpt4v.images import AS_IS, SUFFIXES, Conversion
from rs_gpt4v_builders import Config, all_sources
from rs_gpt4v_builders.folder.annotations import (
    LAYOUTS,
    Annotations,
    DataFiles,
    find_annotations,
    split_of,
)
from rs_gpt4v_builders.folder.arrow_files import embedded_folder
from rs_gpt4v_builders.folder.box_layouts import PROBES, ROWS
from rs_gpt4v_builders.folder.dialogue_boxes import NAMES
from rs_gpt4v_builders.folder.image_names import ImageFiles, ImageNames, with_part
from rs_gpt4v_builders.folder.layout import Layout, Reading
from rs_gpt4v_builders.folder.tables import ALIASES
from rs_gpt4v_builders.image_checks import EMBEDDED
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source

NAME = "folder"
"""The config, the source of its rows, and what their ids begin with unless another is said."""


_OF_IMAGES = {"images", "jpegimages", "allimages"}
"""Folders of images, in any case: everyone's, Pascal VOC's, HRSC2016's."""


class FolderOptions(NamedTuple):
    """How to read a folder; see `rs_gpt4v_builders.builder.RsGpt4vConfig`."""

    layout: str = "auto"
    columns: Mapping[str, str] | None = None
    images: str | None = None
    tasks: Sequence[str] | None = None
    data_files: DataFiles | None = None
    conversion: Conversion = AS_IS
    text_boxes: str = "auto"
    box_format: str | None = None
    id_prefix: str = NAME


def check_options(options: FolderOptions) -> None:
    """Raise ValueError for a value that is none of an option's."""
    if options.layout not in ("auto", *LAYOUTS):
        raise ValueError(f"layout={options.layout!r}: expected auto or one of {', '.join(LAYOUTS)}")
    if options.text_boxes not in NAMES:
        raise ValueError(f"text_boxes={options.text_boxes!r}: expected one of {', '.join(NAMES)}")
    taken = {source.name for source in all_sources()}
    if not re.fullmatch(r"[\w.-]+", options.id_prefix) or options.id_prefix in taken:
        raise ValueError(
            f"id_prefix={options.id_prefix!r}: expected letters, digits, '-', '_' and '.', and no "
            "name of a release"
        )
    _check_types(options)
    for name, given, known in (
        ("columns", options.columns, ALIASES),
        ("tasks", options.tasks, ROWS | PROBES),
    ):
        for value in given or ():
            if value not in known:
                raise ValueError(f"{name}: {value!r} is not one of {', '.join(known)}")


def _check_types(options: FolderOptions) -> None:
    columns = options.columns or {}
    if not isinstance(columns, Mapping) or not all(
        isinstance(name, str) for name in columns.values()
    ):
        raise ValueError(
            f'columns={columns!r}: expected the file\'s names by ours, {{"caption": "text_en"}}'
        )
    if options.images is not None and not isinstance(options.images, str):
        raise ValueError(f"images={options.images!r}: expected the name of a folder")


def folder_configs(folder: Path, options: FolderOptions) -> tuple[Config, ...]:
    """What is read of ``folder``: one config for each kind of rows, all of one source.

    Raises:
        AnnotationError: It is unclear what to read.
        FileNotFoundError: A folder or file that the options name is not there.
        ValueError: An option is of another layout than the files.
    """
    images = (folder / Path(options.images).expanduser()) if options.images else folder
    if not images.is_dir():
        raise FileNotFoundError(f"images={options.images!r}: {images} is no folder")
    annotations = find_annotations(folder, options.layout, options.data_files, options.columns)
    _check_use(annotations, options)
    reader = partial(_read, annotations, folder, images, options)
    source = Source(
        name=options.id_prefix,
        title=str(folder),
        homepage="",
        license="unknown",
        citation="",
        folders=(),
        annotations={
            split: tuple(_file(path, folder) for path in _with_lists(annotations.layout, paths))
            for split, paths in annotations.files.items()
        },
        images=(relative(images, folder),),
        other_images={EMBEDDED: (str(embedded_folder()),)},
        suffixes=SUFFIXES,
        note=f"Give the folder that the names of images start from as images=... (--images); they "
        f"were looked for in {images}.",
        reader=lambda _, split, protocol: reader(split, protocol),
    )
    rows = annotations.layout.rows
    if options.tasks is not None:
        rows = {name: (ROWS | PROBES)[name] for name in options.tasks}
    return tuple(
        Config(source, adapt, "", trains=name not in PROBES) for name, adapt in rows.items()
    )


def _with_lists(layout: Layout, paths: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys([*paths, *(found for path in paths for found in layout.lists(path))]))


def _check_use(annotations: Annotations, options: FolderOptions) -> None:
    layout = annotations.layout
    if options.tasks is not None and layout.rows is not ROWS:
        raise ValueError(f"tasks={options.tasks!r} is for boxes, and this is {layout.title}")
    if options.columns and layout.name not in ("captions", "questions"):
        raise ValueError(f"columns={options.columns!r} is for tables, and this is {layout.title}")


def _file(path: Path, folder: Path) -> str:
    """A file's name in the folder; the whole path of one outside it."""
    name = relative(path, folder) if path.is_relative_to(folder) else str(path)
    return f"{name}/" if path.is_dir() else name


def _read(
    annotations: Annotations,
    folder: Path,
    images: Path,
    options: FolderOptions,
    split: str,
    _: Protocol,
) -> pa.Table:
    """The records of all files of a split; of several files, keys say the file."""
    files = ImageFiles(images)
    paths = annotations.files[split]
    tables = []
    for path in paths:
        roots = [""] if options.images else list(dict.fromkeys(_roots(folder, path, split)))
        names = ImageNames(files, roots)
        stated = annotations.stated.get(path)
        reading = Reading(
            images=names,
            columns=options.columns or {},
            conversion=options.conversion,
            text_boxes=options.text_boxes,
            box_format=options.box_format,
            split=split if stated else None,
            rest=bool(stated) and split == stated[0],
        )
        try:
            table = annotations.layout.read(path, reading)
        except (IsADirectoryError, NotADirectoryError) as error:
            kind, other = ("folder", "file") if path.is_dir() else ("file", "folder")
            title = annotations.layout.title
            raise AnnotationError(f"{path} is a {kind}: expected a {other} of {title}") from error
        tables.append(_named_after(path, folder, table) if len(paths) > 1 else table)
    if annotations.layout.rows is ROWS:
        _refuse_two_files(paths, tables)
    return pa.concat_tables(tables)


def _refuse_two_files(paths: Sequence[Path], tables: Sequence[pa.Table]) -> None:
    """Raise where the objects of an image are in two files: each alone would miss some."""
    file_of: dict[str, Path] = {}
    for path, table in zip(paths, tables, strict=True):
        for image in table["image"].drop_null().unique().to_pylist():
            if (first := file_of.setdefault(image, path)) != path:
                raise AnnotationError(
                    f"{first} and {path} both annotate {image}: an image's objects are expected in "
                    "one file. Name those to read with data_files=..., or merge them"
                )


def _named_after(path: Path, folder: Path, table: pa.Table) -> pa.Table:
    """The records with the file's name before their keys."""
    keys = pc.binary_join_element_wise(_file(path, folder).rstrip("/"), table["key"], "/")
    return table.set_column(table.column_names.index("key"), "key", keys)


def _roots(folder: Path, path: Path, split: str) -> Iterable[str]:
    """The folders that the names of images may start from, seen from ``folder``.

    Those above the annotations, what is in `_OF_IMAGES` there, and in each of these the folders
    that have the split in their own name. For ``labels/a/b``, also ``images/a/b``.
    """
    above = [parent for parent in (path, *path.parents) if parent.is_relative_to(folder)]
    parents = [parent for parent in above if parent.is_dir()] or [folder]
    beside = [folder / with_part(parents[0].relative_to(folder), "labels", "images")]
    for parent in filter(Path.is_dir, [*beside, *parents]):
        named = [inner for inner in _inner(parent) if inner.name.lower() in _OF_IMAGES]
        for root in (parent, *named):
            yield _prefix(root, folder)
            yield from (_prefix(p, folder) for p in _inner(root) if split_of(p, root) == split)


def _inner(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        # Unlike DirEntry.is_dir, no error at a link to itself.
        return sorted(path for entry in entries if (path := Path(entry.path)).is_dir())


def _prefix(root: Path, folder: Path) -> str:
    return "" if root == folder else f"{relative(root, folder)}/"
