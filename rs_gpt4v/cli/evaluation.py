"""Verbs on models and their predictions: predict, chat, score, report, chair, judge."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rs_gpt4v import NAME
from rs_gpt4v.cli import common

if TYPE_CHECKING:
    from rs_gpt4v.chat_api import Endpoint
    from rs_gpt4v_evaluation.predict import Predictor
    from rs_gpt4v_generation.scene import Scene

app = typer.Typer()


@app.command()
@common.with_row_options
def predict(
    model: Annotated[str, typer.Argument(help="Checkpoint: a folder or a Hub name.")],
    config: Annotated[str, typer.Argument(help="Config or group, such as vqa_lr.")],
    out: Annotated[Path, typer.Option(help="Predictions file; resumed if it exists.")],
    adapter: common.Adapter = None,
    split: common.Split = "test",
    batch_size: common.BatchSize = 8,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Longest reply in tokens; default: 512 where rows are dialogues or descriptions, "
            "2,048 where they are lists of boxes, else 64; a resumed file keeps its own.",
        ),
    ] = None,
    box_format: common.BoxFormat = "auto",
    share_images: Annotated[
        bool, typer.Option(help="Encode an image once for all its questions.")
    ] = True,
    blind: Annotated[
        str | None,
        typer.Option(help="Answer without the image: none, grey, or other (another of the split)."),
    ] = None,
    blind_seed: Annotated[int, typer.Option(help="Which images --blind other shows.")] = 0,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Ask about this many images, those of bench --limit."),
    ] = None,
    server: common.Servers = None,
    concurrency: common.Concurrency = 16,
    trust_remote_code: common.TrustRemoteCode = False,
    *,
    options: common.RowOptions,
) -> None:
    """Answer a split with a model by greedy decoding; run again to resume.

    Example: `rs-gpt4v predict llava-hf/llava-1.5-7b-hf vqa_lr --out outputs/base/vqa_lr.jsonl`

    On several GPUs: `accelerate launch -m rs_gpt4v.cli predict ...`. With vLLM, SGLang, llama.cpp
    or transformers serve: `--server http://localhost:8000/v1`
    """
    from datasets import load_dataset, load_dataset_builder

    from rs_gpt4v_evaluation.predict.blind import check_shown
    from rs_gpt4v_evaluation.predict.part import asked
    from rs_gpt4v_evaluation.predict.predictions import describe, longest_reply
    from rs_gpt4v_evaluation.predict.turns import each_turn

    common.keep_inputs(
        [out], [Path(model), Path(adapter) if adapter else None], options["data_dir"]
    )
    check_shown([blind] if blind else [])
    builder: Any = load_dataset_builder(NAME, config, **options)
    longest = max_new_tokens or longest_reply(out, builder.tasks)
    predictor = None
    if not server:
        predictor = load_predictor(model, adapter, longest, trust_remote_code)
    elif adapter is not None:
        raise ValueError("--server answers with what it has loaded: leave --adapter out")
    codec = box_format
    if codec == "auto":
        codec = predictor.box_format if predictor else "llava"
    splits: Any = load_dataset(NAME, config, box_format=codec, **options)
    if split not in splits:
        raise ValueError(f"{config} has no split {split!r}; it has {', '.join(splits)}")
    rows, part = asked(each_turn(splits[split]), limit, blind, blind_seed)
    if server and box_format == "auto" and any(rows["boxes"]):
        raise ValueError(f"{config} has boxes: say with --box-format how {model} writes them")
    described = describe(
        rows,
        config=config,
        split=split,
        protocol=options["protocol"],
        box_format=codec,
        limit=part,
    )
    if predictor:
        from rs_gpt4v_evaluation.predict import predict as answer
        from rs_gpt4v_evaluation.predict.predictor import processes

        answer(predictor, rows, described, out, batch_size, share_images=share_images)
        is_main = processes().is_main_process
        processes().destroy_process_group()  # its threads abort a process that they outlive
        _tell(out, len(rows) if is_main else 0)
    elif server:
        _ask(common.endpoint(model, server, concurrency), rows, described, out, longest)
        _tell(out, len(rows))


def _tell(out: Path, rows: int) -> None:
    """What was written, and what to do with it; nothing without rows."""
    file = shlex.quote(str(out))
    if rows:
        typer.echo(f"Predictions: {out}, {rows:,} rows")
        typer.echo(f"Next:\n  rs-gpt4v score {file} --intervals\n  rs-gpt4v report {file}")


@app.command()
def chat(
    model: Annotated[str, typer.Argument(help="Checkpoint: a folder or a Hub name.")],
    adapter: common.Adapter = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest reply in tokens.")] = 512,
    box_format: common.BoxFormat = "auto",
    stretch: common.Stretch = None,
    bands: common.Bands = None,
    examples: Annotated[bool, typer.Option(help="Offer examples of the sample.")] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 0,
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; 0.0.0.0: let other machines use the page too."),
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in a browser.")] = False,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """Try a model on a local page: drop an image, ask, and see its boxes drawn.

    Example: `rs-gpt4v chat embedded --adapter outputs/lora`
    """
    from rs_gpt4v.images import Conversion
    from rs_gpt4v.local_server import HOST
    from rs_gpt4v_evaluation.chat.server import ChatServer
    from rs_gpt4v_evaluation.chat.session import ChatSession, sample_examples

    conversion = Conversion(**common.conversion(stretch, bands))
    predictor = load_predictor(model, adapter, max_new_tokens, trust_remote_code)
    codec = _codec(predictor, box_format)
    rows = sample_examples(codec) if examples else []
    session = ChatSession(predictor, codec, conversion, rows)
    with ChatServer(session, port, host) as server:
        if host != HOST:
            typer.secho(
                f"--host {host}: who has the address below and reaches this machine can use the "
                "model and see what is sent, for nothing is encrypted.",
                err=True,
                fg=typer.colors.YELLOW,
            )
        for line in ("", f"  {server.url}", "", "Ctrl+C stops."):
            typer.echo(line)
        if browser:
            typer.launch(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("\nStopped.")


def _codec(predictor: "Predictor", box_format: str) -> str | None:
    """The codec that reads the model's boxes; None where its family is not known."""
    from rs_gpt4v.box_codecs import CODECS
    from rs_gpt4v.model_families import UnknownFamilyError

    if box_format not in ("auto", *CODECS):
        raise ValueError(f"--box-format {box_format}: expected auto, {', '.join(CODECS)}")
    if box_format != "auto":
        return box_format
    try:
        return predictor.box_format
    except UnknownFamilyError:
        return None


def load_predictor(
    model: str, adapter: str | None, max_new_tokens: int, trust_remote_code: bool
) -> "Predictor":
    """The model, with an adapter of any method that PEFT or this package knows."""
    from rs_gpt4v_evaluation.predict import Predictor

    route = None
    if adapter is None and (Path(model) / "adapter_config.json").is_file():
        raise ValueError(f"{model} is an adapter: give its base as MODEL, and --adapter {model}")
    if adapter is not None:
        from rs_gpt4v_training import moe_lora  # makes PEFT know the method

        route = moe_lora.use_task if moe_lora.is_moe_lora(adapter) else None
    return Predictor(
        model, adapter, max_new_tokens, trust_remote_code=trust_remote_code, route=route
    )


def _ask(endpoint: "Endpoint", rows: Any, described: Any, out: Path, max_new_tokens: int) -> None:
    from rs_gpt4v_evaluation.predict.server import predict_by_server

    if failed := predict_by_server(endpoint, rows, described, out, max_new_tokens):
        typer.echo(f"{len(failed):,} rows have no reply; run the same command to ask again:")
        typer.echo("\n".join(failed))
        raise typer.Exit(1)


@app.command()
def score(
    files: common.Files,
    intervals: common.Intervals = False,
    against: Annotated[
        Path | None, typer.Option(help="Also compare each file with this one in a paired test.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=1, help="Resamples for the intervals and the test.")
    ] = 1000,
    counts: common.Counts = "source",
    areas: common.Areas = "source",
    normalise: common.Normalise = "lenient",
    strict_iou: common.StrictIou = False,
    skip_bad_boxes: common.SkipBadBoxes = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score predictions files, and test whether two differ by more than chance.

    Example: `rs-gpt4v score tuned/vqa_lr.jsonl --intervals --against base/vqa_lr.jsonl`

    With blind runs (`predict --blind`) among the files, also how much of each score the image adds.
    """
    from rs_gpt4v.files import each_alone
    from rs_gpt4v_evaluation.predict.predictions import read_predictions
    from rs_gpt4v_evaluation.score import Rules, comparison, scores_of_files
    from rs_gpt4v_evaluation.score import tables as score_text
    from rs_gpt4v_evaluation.score.blind import blind_pairs, run_share

    rules = Rules(counts, normalise, strict_iou, skip_bad_boxes, areas)
    draws = resamples if intervals else 0
    failed: list[str] = []
    (scores, left_out), files = each_alone(
        lambda kept: scores_of_files(kept, rules, draws), files, failed
    )
    compared = [
        result
        for file in files
        if against
        for result in comparison.comparisons(against, file, rules, resamples)
    ]
    runs = [
        run_share((seen, blind), read_predictions(seen), read_predictions(blind), rules, resamples)
        for seen, blind in blind_pairs(files)
    ]
    if as_json:
        further = [{"against": result} for result in compared] or [{}] * len(scores)
        rows = [{**scored, **more} for scored, more in zip(scores, further, strict=True)]
        for row in rows:
            row |= score_text.shares_of(row, runs)
        typer.echo(json.dumps(rows, indent=2))
        common.exit_on(failed)
        return
    shown: set[str] = set()  # notes are of a file, and so are those of each of its tasks
    for scored in scores:
        notes = [note for note in scored["notes"] if note not in shown]
        shown.update(notes)
        typer.echo("\n".join(score_text.lines({**scored, "notes": notes})))
    for result in compared:
        typer.echo("\n".join(score_text.comparison_lines(result)))
    for run in runs:
        typer.echo("\n".join(score_text.share_lines(run)))
    for note in left_out:
        typer.echo(note)
    common.exit_on(failed)


@app.command()
def report(
    files: Annotated[
        list[Path], typer.Argument(help="Predictions files, and outputs of judge and chair.")
    ],
    out: Annotated[
        Path, typer.Option(help="HTML page to write; Markdown if it ends in .md.")
    ] = Path("report.html"),
    training_log: Annotated[
        Path | None, typer.Option(help="trainer_state.json, for the loss curve.")
    ] = None,
    intervals: common.Intervals = False,
    counts: common.Counts = "source",
    areas: common.Areas = "source",
    normalise: common.Normalise = "lenient",
    strict_iou: common.StrictIou = False,
    skip_bad_boxes: common.SkipBadBoxes = False,
    pictures: Annotated[
        int,
        typer.Option(min=0, help="Maximum number of images to browse; 0: a page without images."),
    ] = 240,
    model_card: Annotated[
        Path | None, typer.Option(help="Also write a model card with the scores as metadata.")
    ] = None,
) -> None:
    """Write one self-contained HTML page: scores beside the paper's, charts, and all rows.

    Example: `rs-gpt4v report before/*.jsonl after/*.jsonl --out report.html`
    """
    from rs_gpt4v_evaluation.report import report as write
    from rs_gpt4v_evaluation.score import Rules

    failed: list[str] = []
    left_out = write(
        files,
        out,
        training_log,
        pictures=pictures,
        resamples=1000 if intervals else 0,
        rules=Rules(counts, normalise, strict_iou, skip_bad_boxes, areas),
        card=model_card,
        failed=failed,
    )
    for note in left_out:
        typer.echo(note)
    typer.echo(f"Report: {out}")
    if model_card:
        typer.echo(f"Model card: {model_card}")
    common.exit_on(failed)


_FREE_TEXTS = ("caption", "detail", "conversation")


@app.command()
@common.with_scene_options
def chair(
    files: common.Files,
    split: common.Split = "test",
    intervals: common.Intervals = False,
    references: Annotated[
        bool,
        typer.Option("--references", help="Read the true texts of the rows, not the replies."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The replies with their claims, for score --against and report."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    *,
    scenes: common.SceneOptions,
) -> None:
    """Measure the share of objects in captions and descriptions that have no box in the image.

    Example: `rs-gpt4v chair outputs/tuned/detail.jsonl --data-dir /data/rs`

    With your own boxes: `--boxes instances_test.json --images images`.
    """
    from rs_gpt4v.files import write_json_lines
    from rs_gpt4v_evaluation.rs_chair.measure import most_denied
    from rs_gpt4v_evaluation.score import scores_of
    from rs_gpt4v_evaluation.score import tables as score_text

    if out and len(files) > 1:
        raise ValueError(f"--out {out} holds one model's replies: run chair once for each file")
    common.keep_inputs([out], [*files, scenes["boxes"], scenes["images"]], scenes["data_dir"])
    annotated = common.scenes(split, **scenes, empty_allowed=True)
    claimed = {file: _claimed(file, annotated, references=references) for file in files}
    if out:
        write_json_lines(out, next(iter(claimed.values())))
    scores = [
        scored
        for file, rows in claimed.items()
        for scored in scores_of(rows, str(file), resamples=1000 if intervals else 0)
    ]
    if as_json:
        typer.echo(json.dumps(scores, indent=2))
        return
    for scored, rows in zip(scores, claimed.values(), strict=True):
        typer.echo("\n".join(score_text.lines(scored)))
        most = most_denied(row["claims"] for row in rows)
        made_up = ", ".join(f"{name} {count:,}" for name, count in most)
        typer.echo(f"  most often made up: {made_up or 'nothing'}")


def _claimed(file: Path, scenes: "list[Scene]", *, references: bool) -> list[Any]:
    """The free texts of a predictions file whose images have boxes, with their claims.

    ``references``: the first true text of each row stands for the reply.
    """
    from rs_gpt4v_evaluation.predict.predictions import PredictionFileError, read_predictions
    from rs_gpt4v_generation.chair import Reply, named_in

    rows: list[Any] = [row for row in read_predictions(file) if row["task"] in _FREE_TEXTS]
    if not rows:
        raise PredictionFileError(f"{file} has no rows of {', '.join(_FREE_TEXTS)}")
    if references:
        nobody = {"model": "references", "adapter": None, "weights": None}
        nobody["decoding"] = {"do_sample": None, "max_new_tokens": None}
        rows = [{**row, **nobody, "prediction": row["references"][0]} for row in rows]
    replies = (
        Reply(row["id"], row["source"], row["image"] or "", row["prompt"], row["prediction"])
        for row in rows
    )
    both = [*zip(rows, named_in(replies, scenes), strict=True)]
    without = [row["id"] for row, own in both if own is None]
    if without:
        typer.echo(f"{file}: {len(without):,} left out, no boxes: {without[0]}, ...", err=True)
    return [{**row, "claims": own._asdict()} for row, own in both if own is not None]


@app.command()
def judge(
    files: common.Files,
    judge_model: Annotated[str, typer.Option(help="Name of the judge model on its server.")],
    out: Annotated[Path, typer.Option(help="Verdicts to write, one JSON line per pair.")],
    against: Annotated[
        list[Path] | None, typer.Option(help="Another model's predictions, to compare with.")
    ] = None,
    base_url: common.BaseUrl = common.OPENAI,
    api_key_env: common.ApiKeyEnv = "OPENAI_API_KEY",
    repeats: Annotated[
        int, typer.Option(min=1, help="Samples per answer, to measure the spread.")
    ] = 1,
    seed: Annotated[
        int, typer.Option(help="Seed of the first sample; each further one adds 1.")
    ] = 0,
    temperature: common.Temperature = 0.0,
    image: Annotated[
        bool, typer.Option(help="Show the image to the judge, or only the reference.")
    ] = True,
    concurrency: common.Concurrency = 16,
    max_cost: common.MaxCost = None,
    prices: common.Prices = None,
    body: common.Body = "{}",
    dry_run: common.DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score dialogues and descriptions with a strong model (Table 3); run again to resume.

    Example: `rs-gpt4v judge outputs/tuned/conversation.jsonl outputs/tuned/detail.jsonl
    --judge-model gpt-4o-2024-11-20 --max-cost 20 --out outputs/tuned/judged.jsonl`

    With `--against outputs/base/conversation.jsonl`, decide which of two models answers better.
    """
    from rs_gpt4v import chat_api as chat
    from rs_gpt4v_evaluation import judge as judging
    from rs_gpt4v_evaluation.judge import tables

    journal = out.with_name(f"{out.name}.journal")
    common.keep_inputs([out, journal], [*files, *(against or ()), prices])
    judge = judging.Judge(
        endpoint=chat.Endpoint(
            model=judge_model,
            base_url=base_url,
            api_key_env=api_key_env,
            concurrency=concurrency,
        ),
        journal=journal,
        repeats=repeats,
        seed=seed,
        temperature=temperature,
        with_image=image,
        body=chat.read_body(body),
        cap_usd=max_cost,
        prices=chat.read_prices(prices) if prices else chat.PRICES,
    )
    if dry_run:
        typer.echo(tables.estimate(files, against or [], judge))
        return
    summaries = (
        judging.compare_files(files, against, out, judge)
        if against
        else judging.judge_files(files, out, judge)
    )
    for summary in summaries:
        typer.echo(summary, err=True)
    result = judging.comparison(out) if against else judging.judge_scores(out)
    typer.echo(json.dumps(result, indent=2) if as_json else "\n".join(tables.lines(result)))
    if failed := result["failed"]:
        typer.echo(f"{len(failed):,} pairs failed; run the same command to ask again.", err=True)
        raise typer.Exit(1)
