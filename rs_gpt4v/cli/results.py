"""Verbs on results: one model on every task, results of others, and a board of many."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rs_gpt4v import NAME
from rs_gpt4v.cli import common

if TYPE_CHECKING:
    from rs_gpt4v.cli.screen import Screen
    from rs_gpt4v_evaluation.predict import Predictor

app = typer.Typer()


@app.command()
@common.with_row_options
def bench(
    model: Annotated[str, typer.Argument(help="Checkpoint: a folder or a Hub name.")],
    configs: Annotated[
        list[str] | None,
        typer.Argument(help="Configs and groups; default: all whose release is there."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of results; what is in it is kept and added to.")
    ] = Path("outputs/bench"),
    adapter: common.Adapter = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask about this many images of each split, drawn.")
    ] = None,
    blind: Annotated[
        list[str] | None,
        typer.Option(help="What blind runs show: none, grey or other; repeatable; default: none."),
    ] = None,
    blind_images: Annotated[
        int, typer.Option(min=0, help="Images of each split in blind runs; 0: no blind runs.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Which images are drawn.")] = 0,
    batch_size: common.BatchSize = 8,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest reply in tokens; default: by task.")
    ] = None,
    box_format: common.BoxFormat = "auto",
    server: common.Servers = None,
    concurrency: common.Concurrency = 16,
    skip_bad_boxes: common.SkipBadBoxes = False,
    trust_remote_code: common.TrustRemoteCode = False,
    *,
    options: common.RowOptions,
) -> None:
    """Predict, score and report all test splits that are there; run again to resume or to add.

    Example: `rs-gpt4v bench llava-hf/llava-1.5-7b-hf --data-dir /data/rs --limit 200 --out
    outputs/llava`

    Each row is scored by its own source's rule. On a sample of the images the model also answers
    without seeing them: what it scores then, it does not owe to the image. On several GPUs or
    machines: `accelerate launch -m rs_gpt4v.cli bench ...`; with servers: `--server URL`, for each.
    """
    from rs_gpt4v.cli.screen import screen
    from rs_gpt4v_evaluation import bench as benches
    from rs_gpt4v_evaluation.bench import table
    from rs_gpt4v_evaluation.score import Rules

    common.keep_inputs(
        [out], [Path(model), Path(adapter) if adapter else None], options["data_dir"]
    )
    if server and adapter:
        raise ValueError("--server answers with what it has loaded: leave --adapter out")
    blind = blind or ["none"]
    benches.check_asked(configs or (), blind, options)
    log = out / "bench.log"
    out.mkdir(parents=True, exist_ok=True)
    with screen(3 if server else 4, log) as shows, _warnings() as said:
        found = benches.bench(
            common.endpoint(model, server, concurrency)
            if server
            else _model(model, adapter, shows, trust_remote_code),
            out,
            configs or (),
            limit=limit,
            blind=blind,
            blind_images=blind_images,
            seed=seed,
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            box_format=None if box_format == "auto" else box_format,
            rules=Rules(skip_bad_boxes=skip_bad_boxes),
            step=shows.step,
            **options,
        )
    log.unlink(missing_ok=True)
    if not _is_first():
        return
    typer.echo("\n".join(["", *dict.fromkeys(said)]))
    typer.echo("\n".join(table.lines(found.results)))
    typer.echo("\n".join(table.ending(found, out)))
    if found.failed or found.unscored:
        raise typer.Exit(1)


def _model(
    model: str, adapter: str | None, shows: "Screen", trust_remote_code: bool
) -> "Predictor":
    from rs_gpt4v.cli.evaluation import load_predictor

    with shows.step(f"Load {model}", 1) as bar:
        predictor = load_predictor(model, adapter, 64, trust_remote_code)
        bar.update()
    return predictor


def _is_first() -> bool:
    """Whether this is the process that speaks, of those that a launcher has started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects what our own packages warn of: it is for the reader, what libraries say is not."""
    said: list[str] = []

    class Collects(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = Collects(logging.WARNING)
    own = [logging.getLogger(name) for name in ("rs_gpt4v", "rs_gpt4v_builders")]
    for logger in own:
        logger.addHandler(handler)
    try:
        yield said
    finally:
        for logger in own:
            logger.removeHandler(handler)


@app.command()
def board(
    results: Annotated[
        list[str] | None,
        typer.Argument(help="Results files, folders of bench, predictions files; or NAME=FILE."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write the board to.")] = Path("board"),
    published: Annotated[
        list[Path] | None,
        typer.Option(help="File of scores that others print (docs/board.md); repeatable."),
    ] = None,
    shipped: Annotated[
        bool, typer.Option(help="Show the published scores that come with rs-gpt4v.")
    ] = True,
    reports: Annotated[
        bool, typer.Option(help="Put a report of each model beside the board and link it.")
    ] = True,
    title: Annotated[str, typer.Option(help="Heading.")] = "Models on remote-sensing tasks",
    resamples: Annotated[
        int, typer.Option(min=0, help="Resamples for the intervals of predictions files; 0: none.")
    ] = 1000,
    counts: common.Counts = "source",
    areas: common.Areas = "source",
    normalise: common.Normalise = "lenient",
    strict_iou: common.StrictIou = False,
    skip_bad_boxes: common.SkipBadBoxes = False,
) -> None:
    """Rank models on one static page, each score with its interval and where it is from.

    Example: `rs-gpt4v board outputs/*/results.json imported/*.jsonl --out board`
    """
    from rs_gpt4v_evaluation.board.make import board as write
    from rs_gpt4v_evaluation.score import Rules

    failed: list[str] = []
    notes = write(
        results or [],
        out,
        published or [],
        title,
        with_shipped=shipped,
        with_reports=reports,
        resamples=resamples,
        rules=Rules(counts, normalise, strict_iou, skip_bad_boxes, areas),
        failed=failed,
    )
    for note in notes:
        typer.echo(note)
    typer.echo(f"Board: {out / 'index.html'}")
    common.exit_on(failed)


@app.command("import")
@common.with_folder_options
def import_(
    results: Annotated[
        Path, typer.Argument(help="File of replies: JSON, JSON lines, CSV, TSV, Parquet, .xlsx.")
    ],
    out: Annotated[Path, typer.Option(help="Predictions file to write.")],
    config: Annotated[
        str | None, typer.Option(help="Config whose split was answered, such as vqa_lr.")
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="File that says which image and question an id is: questions.jsonl."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Who replied; default: as the file says.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="earthdial, llava, ...; default: recognised by content.")
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(help="What the file calls a part: prediction=reply; repeatable."),
    ] = None,
    box_format: Annotated[
        str | None, typer.Option(help="How the model writes boxes: llava, geochat, ...")
    ] = None,
    pair_equal: Annotated[
        bool,
        typer.Option("--pair-equal", help="Take equal rows in the order of the file."),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help=r"Mend escapes (\u00a0), entities and encodings.")
    ] = False,
    split: common.Split = "test",
    data_dir: common.DataDir = None,
    sample: common.Sample = False,
    protocol: common.Protocol = "paper",
    on_missing: common.OnMissing = "raise",
    probes_per_image: common.ProbesPerImage = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with all that is left out.")
    ] = False,
    *,
    folder: common.FolderOptions,
) -> None:
    """Turn other people's results into a predictions file, and say what does not fit.

    Example: `rs-gpt4v import answers.jsonl --questions questions.jsonl
    --config vqa_lr --data-dir /data/rs --out outputs/theirs/vqa_lr.jsonl`

    Formats: earthdial, llava, geochat, rsevalkit, lhrs, llama_factory, ms_swift, lmms_eval,
    vlmevalkit, coco, and table: id, image or question, and prediction. The exit status is 1 if a
    result is left out.
    """
    from rs_gpt4v.files import write_json_lines
    from rs_gpt4v_evaluation import imports
    from rs_gpt4v_evaluation.imports import summary

    common.keep_inputs([out], [results, questions], data_dir)
    if imports.is_exported(results):
        _import_exported(results, out, config)
        return
    if config is None:
        raise ValueError("say with --config whose split was answered, such as --config vqa_lr")
    file = imports.read_results(
        results, format, dict(common.pair("--fields", f) for f in fields or ())
    )
    if questions is not None:
        file = imports.with_questions(file, questions)
    more = {"box_format": box_format, "probes_per_image": probes_per_image, **folder}
    splits = _splits(config, data_dir, sample, on_missing, protocol, more)
    done = imports.import_results(
        file,
        config,
        split,
        protocol,
        model=model,
        splits=splits,
        box_format=box_format,
        pair_equal=pair_equal,
        repair=repair,
    )
    write_json_lines(out, done.predictions)
    if as_json:
        typer.echo(json.dumps(summary.as_json(done, results, out), indent=2))
    else:
        typer.echo("\n".join(summary.lines(done)))
        typer.echo(f"{done.written:,} predictions of {done.model}: {out}")
    if done.left_out:
        raise typer.Exit(1)


def _splits(
    config: str,
    data_dir: Path | None,
    sample: bool,
    on_missing: str,
    protocol: str,
    more: dict[str, Any],
) -> Any:
    """The rows of the config; None where there are no releases to build them from."""
    from datasets import load_dataset

    if data_dir is None and not sample:
        return None
    options = common.row_options(data_dir, sample, protocol, on_missing, **more)
    return load_dataset(NAME, config, **options)


def _import_exported(results: Path, out: Path, config: str | None) -> None:
    """A table of `rs-gpt4v export vlmevalkit`: it holds our rows, so nothing has to be matched."""
    from rs_gpt4v.files import write_json_lines
    from rs_gpt4v_evaluation.harnesses.vlmevalkit import read_result

    table = read_result(results)
    exported = {line["dataset"]["config"] for line in table.predictions}
    if config is not None and exported - {config}:
        raise ValueError(f"{results} is of {', '.join(exported)}, not of {config}")
    write_json_lines(out, table.predictions)
    typer.echo(f"{len(table.predictions):,} replies: {out}")
    if table.failed:
        typer.echo(f"{len(table.failed):,} rows have no reply; run VLMEvalKit again for them:")
        typer.echo("\n".join(table.failed))
        raise typer.Exit(1)


@app.command()
def agreement(
    files: Annotated[
        list[Path], typer.Argument(help="Files of rs-gpt4v judge, and reviews files of people.")
    ],
    queue: Annotated[
        Path | None, typer.Option(help="Only write judged answers for people to review, to this.")
    ] = None,
    number: Annotated[int, typer.Option(min=1, help="Answers of the queue, at most.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed that draws the images of the queue.")] = 0,
    edit_from: Annotated[
        float, typer.Option(callback=common.finite, help="Score that counts as edit from here on.")
    ] = 6,
    accept_from: Annotated[
        float, typer.Option(callback=common.finite, help="Score that counts as accept from here.")
    ] = 8,
    resamples: Annotated[
        int, typer.Option(min=0, help="Resamples of the images for the intervals; 0: none.")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a judge's scores with people's decisions, or with a second judge's scores.

    Example: `rs-gpt4v agreement judged.jsonl --queue queue.jsonl`, then
    `rs-gpt4v review queue.jsonl --reviewer ann` and
    `rs-gpt4v agreement judged.jsonl queue.jsonl.reviews.ann.jsonl`

    Two judges: `rs-gpt4v agreement judged-by-one.jsonl judged-by-other.jsonl`
    """
    from rs_gpt4v_evaluation.judge import agreement as agreeing
    from rs_gpt4v_evaluation.judge.review_queue import review_queue

    if queue is not None:
        written, missing = review_queue(files, queue, number, seed)
        if missing:
            typer.echo(f"{len(missing):,} images cannot be shown, such as {missing[0]}", err=True)
        typer.echo(f"{written:,} answers: {queue}\nNext: rs-gpt4v review {queue} --reviewer NAME")
        return
    levels = agreeing.Levels(edit_from, accept_from)
    found, notes = agreeing.agreement(files, levels, resamples)
    if as_json:
        typer.echo(json.dumps({"agreement": found, "notes": notes}, indent=2))
    else:
        typer.echo("\n".join(agreeing.to_lines(found, notes, levels)))
