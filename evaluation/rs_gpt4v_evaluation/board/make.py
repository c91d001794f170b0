"""Reading results of many models and writing their board."""

import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from rs_gpt4v.files import AnyPath, each_alone, of_file, refuse_overwriting, relative, write_text
from rs_gpt4v_evaluation.board import page
from rs_gpt4v_evaluation.board.published import read_published, shipped
from rs_gpt4v_evaluation.board.standings import (
    Standing,
    columns,
    model_name,
    printed,
    scored,
)
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Rules
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError, first_prediction
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_evaluation.score.blind import is_blind
from rs_gpt4v_evaluation.score.results import Results, read_results, results_of

FILES = ("index.html", "board.json", "board.csv")


class _Given(NamedTuple):
    """One model's results, and what a report of its own is made from.

    ``files`` are predictions files, to make a report of; ``page`` is one that there is.
    ``name`` is what the board calls the model.
    """

    results: Results
    files: list[Path]
    page: Path | None
    path: Path
    name: str


def board(
    given: Sequence[AnyPath],
    out: AnyPath,
    published: Sequence[AnyPath] = (),
    title: str = "Models on remote-sensing tasks",
    *,
    with_shipped: bool = True,
    with_reports: bool = True,
    resamples: int = 1000,
    rules: Rules = DEFAULT_RULES,
    failed: list[str] | None = None,
) -> list[str]:
    """Write a board of many models to the folder ``out``; the same input gives the same bytes.

    Args:
        given: Results files, folders of `rs-gpt4v bench`, and predictions files, which are scored;
            "NAME=PATH" says what the board calls the model. Predictions files of one model stand
            together, with its blind runs.
        out: Folder for ``index.html``, ``board.json``, ``board.csv``, ``reports/``, and
            ``results/``: results of the predictions files, with which to make the board again.
        published: Files of scores that others print, as `read_published` describes them.
        title: Heading of the board.
        with_shipped: Show the published scores that come with the package too.
        with_reports: Put each model's own report beside the board, and link it.
        resamples: Draws for the 95 % intervals of predictions files; 0 for none.
        rules: How the replies in predictions files are compared with the truth.
        failed: Gets the message of each damaged file, and the board holds the others; None: such a
            file is refused.

    Returns:
        What a reader has to know of what is not on the board.

    Raises:
        InvalidFileError: A file is damaged, or is none of these.
        OverwriteError: A file of the board is one that is read.
        ValueError: Two of ``given`` are about the same rows and the same model.
    """
    out = Path(out)
    published = [Path(file) for file in published]
    paths = _named(given)
    refuse_overwriting([out / name for name in FILES], [*paths, *published])
    tables = [*(shipped() if with_shipped else ()), *chain(*map(read_published, published))]
    standings: list[Standing] = []
    notes: list[str] = []

    def read(files: list[Path]) -> list[_Given]:
        return _read({file: paths[file] for file in files}, rules, resamples, out / "results")

    models, _ = each_alone(read, paths, failed)
    for own, file in zip(models, _file_names(models), strict=True):
        if own.files:
            write_text(out / "results" / f"{file}.json", _json(own.results))
        target = out / "reports" / f"{file}.html"
        link = _report(own, target, out, rules, resamples) if with_reports else None
        for entry in own.results["entries"]:
            standings += scored(own.name, entry, tables, link)
            if not entry["scores"]:
                notes.append(f"{own.name}, {entry['config']}: {entry['task']} is not judged yet.")
    _check_each_once(standings)
    standings += (standing for table in tables for standing in printed(table))
    if not standings:
        raise ValueError("a board needs a result, or published scores")
    grouped = columns(standings)
    records = [
        page.record(standing, group)
        for groups in grouped.values()
        for group in groups
        for standing in group.standings
    ]
    write_text(out / "board.json", _json({"format": 1, "scores": records}))
    write_text(out / "board.csv", page.csv_table(records))
    write_text(out / "index.html", page.html(title, grouped, notes))
    return notes


def _json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _named(given: Sequence[AnyPath]) -> dict[Path, str | None]:
    """Each path with the name that it is given, if any."""
    named: dict[Path, str | None] = {}
    for text in [os.fspath(path) for path in given]:
        name, sign, path = text.partition("=")
        if sign and name and not Path(text).exists():
            named[Path(path)] = name
        else:
            named[Path(text)] = None
    return named


def _read(
    paths: Mapping[Path, str | None], rules: Rules, resamples: int, folder: Path
) -> list[_Given]:
    """The results of each model: results files as they stand, and predictions files scored.

    ``folder`` is where the results of predictions files will be.
    """
    models: list[_Given] = []
    predictions: dict[tuple[str | None, ...], list[Path]] = defaultdict(list)
    for path, name in paths.items():
        if path.is_dir() or path.suffix == ".json":
            models.append(_results(path, name))
        else:
            predictions[_model(path)].append(path)
    for files in predictions.values():
        names = sorted({name for file in files if (name := paths[file])})
        if len(names) > 1:
            raise ValueError(
                f"{files[0]} and others are of one model: call it {' or '.join(names)}"
            )
        models.append(_scored(files, names[0] if names else None, rules, resamples, folder))
    return _told_apart(models)


def _scored(
    files: Sequence[Path], name: str | None, rules: Rules, resamples: int, folder: Path
) -> _Given:
    blind = [file for file in files if _is_blind(file)]
    seen = [file for file in files if file not in blind]
    if not seen:
        with of_file(blind[0]):
            raise PredictionFileError(
                f"{blind[0]} holds a blind run: give the same model's replies to the images too"
            )
    results = results_of(seen, blind, rules, resamples, folder)
    return _Given(results, seen, None, seen[0], name or model_name(results["model"]))


def _results(path: Path, name: str | None) -> _Given:
    if path.is_dir() and not (path / "results.json").is_file():
        raise ValueError(
            f"{path} holds no results.json: give a folder that rs-gpt4v bench wrote, or the "
            "predictions files in it"
        )
    results = read_results(path)
    folder = path if path.is_dir() else path.parent
    own = results["report"]
    page_of_it = folder / own if own else None
    return _Given(results, [], page_of_it, path, name or model_name(results["model"]))


def _model(path: Path) -> tuple[str | None, ...]:
    with of_file(path):
        first = first_prediction(path)
        if first is None:
            raise PredictionFileError(f"{path} holds no prediction")
    return first["model"], first["adapter"], first["weights"]


def _is_blind(path: Path) -> bool:
    first = first_prediction(path)
    return first is not None and is_blind(first["dataset"])


def _told_apart(models: Sequence[_Given]) -> list[_Given]:
    """The models, with their folders in their names where two would be called the same."""
    of_name: dict[str, set[str]] = defaultdict(set)
    for own in models:
        of_name[own.name].add(_identity(own))
    return [
        own if len(of_name[own.name]) == 1 else own._replace(name=f"{own.name} ({_folder(own)})")
        for own in models
    ]


def _identity(own: _Given) -> str:
    model = own.results["model"]
    return json.dumps([model[key] for key in ("name", "adapter", "weights")])


def _folder(own: _Given) -> str:
    return (own.path if own.path.is_dir() else own.path.parent).absolute().name


def _report(own: _Given, target: Path, out: Path, rules: Rules, resamples: int) -> str | None:
    """Put the model's own page at ``target``: where that is, as seen from the board in ``out``."""
    if own.files:
        report(own.files, target, title=own.name, resamples=resamples, rules=rules)
    elif own.page is not None and own.page.is_file():
        refuse_overwriting([target], [own.page])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(own.page, target)
    else:
        return None
    return relative(target, out)


def _file_names(models: Sequence[_Given]) -> list[str]:
    """A name of letters, digits and hyphens for the files of each model."""
    names: dict[str, str] = {}  # by what a disk without upper and lower case takes for equal
    for own in models:
        first = re.sub(r"[^\w.]+", "-", own.name).strip("-.") or "model"
        further = (f"{first}-{number}" for number in count(2))
        name = next(name for name in chain([first], further) if name.casefold() not in names)
        names[name.casefold()] = name
    return [*names.values()]


def _check_each_once(standings: Sequence[Standing]) -> None:
    seen: set[tuple[object, ...]] = set()
    for standing in standings:
        key = (standing.model, standing.column, standing.peers)
        if key in seen:
            column = standing.column
            raise ValueError(
                f"{standing.model} has two scores on the same rows of {column.config}, "
                f"{column.split}, {column.task}: give one of its results"
            )
        seen.add(key)
