"""Scores as others print them, with their sources: `published.json`, and a user's own file."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, MinLen
from typing_extensions import NotRequired, TypedDict

from rs_gpt4v.conversation import Task
from rs_gpt4v.files import InvalidFileError, read_json

_SHIPPED = Path(__file__).with_name("published.json")
_TASKS = (*get_args(Task), "judged")
_Text = Annotated[str, MinLen(1)]


class Source(TypedDict):
    """Where a table is printed: ``where`` is its number, or the heading that it stands under."""

    title: _Text
    url: _Text
    where: _Text


class PublishedTable(TypedDict):
    """Scores of one measure on one split, by model, as one source prints them.

    Attributes:
        config: Whose rows these are; ``also`` names other configs that have them.
        measure: Key of the score; where it is none of the metric's, ``name`` says what it is.
        name: The column's head, as printed.
        per_unit: What the source prints for a score of 1: 100 where it prints percent.
        digits: Decimals as printed.
        rows: How many rows the scores are of; null where the source does not say.
        rule: How replies are compared, as `Score` has it; what is not named is not known.
        differs: Why these scores are not comparable with those of `rs-gpt4v score`, or is not
            known to be the same; "" where they are, and so are ranked together.
        note: What else a reader has to know.
        values: By model, in the order of the source.
    """

    source: Source
    config: _Text
    also: NotRequired[list[str]]
    split: _Text
    protocol: _Text
    task: _Text
    metric: _Text
    measure: _Text
    name: _Text
    per_unit: Annotated[float, Gt(0)]
    digits: Annotated[int, Ge(0)]
    rows: Annotated[int, Ge(1)] | None
    rule: dict[str, Any]
    differs: str
    note: str
    values: Annotated[dict[str, float], MinLen(1)]


class _Published(TypedDict):
    format: Literal[1]
    tables: list[PublishedTable]


def read_published(path: Path) -> list[PublishedTable]:
    """The tables of a file that is like `published.json`.

    Raises:
        InvalidFileError: It is not; the message names the field.
        OSError: It cannot be read.
    """
    tables = read_json(path, _Published)["tables"]
    for i, table in enumerate(tables):
        if problem := next(_problems(table), None):
            raise InvalidFileError(f"{path}: tables[{i}].{problem}")
    return tables


def _problems(table: PublishedTable) -> Iterator[str]:
    if table["task"] not in _TASKS:
        yield f"task is {table['task']!r}; expected one of {', '.join(_TASKS)}"
    url = table["source"]["url"]
    if not url.startswith(("https://", "http://")):
        yield f"source.url is {url!r}; expected an address that begins with https://"
    if table["rows"] is None and not table["differs"]:
        yield "rows is null; expected a number, or in `differs` that it is not stated"


@cache
def shipped() -> list[PublishedTable]:
    """The tables that come with the package."""
    return read_published(_SHIPPED)
