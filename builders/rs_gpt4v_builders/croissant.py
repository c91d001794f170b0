"""Croissant (mlcommons.org/croissant, version 1.1): what a dataset is, for machines.

Search engines, the Hub and `mlcroissant` read it. `of_rows` describes an export, `of_source` where
a release comes from. No value is invented: what is not known is left out.
"""

import mimetypes
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rs_gpt4v_builders.sources.source import Source, checksum

Json = dict[str, Any]
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty"),
    *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
    *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}
_DATA_TYPES = {pa.string(): "sc:Text", pa.int32(): "cr:Int32", pa.float32(): "cr:Float32"}
"""Croissant's types of the columns of a row."""


def of_source(source: Source) -> Json:
    """A release: home page, licence, citation, and the files whose address and checksum are known.

    Croissant wants an MD5 or SHA-256 of each file; `Source.downloads` has them of some.
    """
    files = [
        _known(
            {
                "@type": "cr:FileObject",
                "@id": file.file,
                "name": file.file,
                "contentUrl": file.url,
                "contentSize": None if file.size is None else f"{file.size} B",
                "encodingFormat": _media_type(file.file),
                kind: digest,
            }
        )
        for file in source.downloads
        for kind, _, digest in [(file.checksum or "").partition(":")]
        if kind in ("md5", "sha256")
    ]
    return {"@context": _CONTEXT} | _known(
        {
            **_in_short(source),
            "conformsTo": CONFORMS_TO,
            "description": f"{source.title}, as `rs-gpt4v` reads it. Size: {source.size}.",
            "citeAs": source.citation,
            "sameAs": [page for page in source.mirrors if " " not in page],
            "distribution": files,
        }
    )


def of_rows(
    folder: Path,
    tables: Mapping[str, Path],
    images: Collection[str],
    sources: Iterable[Source],
    **about: Any,
) -> Json:
    """Parquet files of rows, and the images that they name.

    Args:
        folder: Where the description will lie.
        tables: The Parquet file of each split in ``folder``, by the name of its records.
        images: The files of the images, relative to ``folder``.
        sources: The releases that the rows are made of.
        about: What else is known of the dataset: ``name``, ``description``, ``url``, ...
    """
    pictures = {
        "@type": "cr:FileSet",
        "@id": "images",
        "name": "images",
        "encodingFormat": sorted(filter(None, {_media_type(image) for image in images})),
        "includes": sorted({f"{PurePosixPath(image).parts[0]}/**" for image in images}),
    }
    return {"@context": _CONTEXT} | _known(
        {
            "@type": "sc:Dataset",
            **about,
            "conformsTo": CONFORMS_TO,
            "isBasedOn": [_in_short(source) for source in sources],
            "distribution": [
                *(_table(folder, path) for path in tables.values()),
                *([pictures] if images else []),
            ],
            "recordSet": [_records(name, path) for name, path in tables.items()],
        }
    )


def _known(facts: Json) -> Json:
    return {name: value for name, value in facts.items() if value not in (None, "", [])}


def _in_short(source: Source) -> Json:
    terms = None if source.license == "unknown" else source.license
    facts = {"name": source.title, "url": source.homepage, "license": terms}
    return _known({"@type": "sc:Dataset", **facts})


def _media_type(name: str) -> str | None:
    return mimetypes.guess_type(name)[0]


def _table(folder: Path, path: Path) -> Json:
    name = path.relative_to(folder).as_posix()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": checksum(path, "sha256").partition(":")[2],
    }


def _records(name: str, path: Path) -> Json:
    fields = [_field(f"{name}/{column.name}", column, path.name) for column in pq.read_schema(path)]
    key = {"@id": f"{name}/id"}
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "key": key, "field": fields}


def _field(name: str, column: pa.Field, file: str, above: tuple[str, ...] = ()) -> Json:
    """A column, or below ``above`` a field of its structs."""
    repeated = pa.types.is_list(column.type)
    kind = column.type.value_type if repeated else column.type
    described: Json = {"@type": "cr:Field", "@id": name, "name": name}
    if repeated:
        described["repeated"] = True
    if pa.types.is_struct(kind):
        names = (*above, column.name)
        return described | {
            "subField": [_field(f"{name}/{part.name}", part, file, names) for part in kind]
        }
    source: Json = {"fileObject": {"@id": file}, "extract": {"column": (*above, column.name)[0]}}
    if above:
        source["transform"] = {"jsonPath": ".".join((*above, column.name)[1:])}
    return described | {"dataType": _DATA_TYPES[kind], "source": source}
