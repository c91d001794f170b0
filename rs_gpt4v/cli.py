"""`rs-gpt4v`: one short function a verb. What a verb needs is imported inside it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="rs-gpt4v",
    help="Remote-sensing vision-language data, training and evaluation.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder that holds the releases.", envvar="RS_GPT4V_DATA"),
]
Sample = Annotated[bool, typer.Option("--sample", help="Use the embedded synthetic sample.")]
Protocol = Annotated[str, typer.Option(help="paper: the rows of Table 1. release: all rows.")]
OnMissing = Annotated[str, typer.Option(help="raise, or skip unusable records and list them.")]
Split = Annotated[str, typer.Option(help="Split of the config.")]
Files = Annotated[list[Path], typer.Argument(help="Predictions files (JSON lines).")]


@app.command()
def sources(
    names: Annotated[
        list[str] | None, typer.Argument(help="Sources, configs or groups; all if none is named.")
    ] = None,
    data_dir: DataDir = None,
    citations: Annotated[bool, typer.Option("--citations", help="Show their BibTeX.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: all that is known.")] = False,
) -> None:
    """Show which releases are found, what is missing, and where to get it.

    Example: `rs-gpt4v sources --data-dir /data/rs`
    """
    from rs_gpt4v_builders import inventory, overview

    root = data_dir and data_dir.absolute()
    if root and not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder: give the releases' parent with --data-dir")
    found = inventory.inventory(root, inventory.choose(names) if names else None)
    if as_json:
        typer.echo(json.dumps(overview.to_json(found), indent=2))
    else:
        typer.echo(overview.to_text(found, root, citations=citations))


@app.command()
def download(
    names: Annotated[list[str], typer.Argument(help="Sources, configs or groups: rsvqa_lr.")],
    data_dir: Annotated[
        Path, typer.Option(help="Folder for the releases.", envvar="RS_GPT4V_DATA")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to fetch.")] = False,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep archives once they are unpacked.")
    ] = False,
) -> None:
    """Fetch what has a stable public address; interrupted, the same command goes on.

    Example: `rs-gpt4v download rsvqa_lr --data-dir /data/rs`
    """
    from rs_gpt4v_builders import download as downloads
    from rs_gpt4v_builders import inventory

    root = data_dir.absolute()
    items = downloads.plan(inventory.choose(names), root)
    if dry_run:
        typer.echo(downloads.describe(items))
        return
    kept = 0
    for done in downloads.carry_out(items, root, keep_archives=keep_archives):
        typer.echo(f"{done.item.path}: {done.remark}")
        kept += done.outcome == "kept"
    typer.echo(downloads.rest(inventory.choose(names), root))
    raise typer.Exit(1 if kept else 0)


@app.command()
def build(
    configs: Annotated[list[str], typer.Argument(help="For instance vqa_hr cap_ucm.")],
    data_dir: DataDir = None,
    sample: Sample = False,
    protocol: Protocol = "paper",
    on_missing: OnMissing = "raise",
    exclude_leaks: Annotated[
        bool, typer.Option("--exclude-leaks", help="Leave out training rows on test images.")
    ] = False,
    num_proc: Annotated[int | None, typer.Option(help="Processes.")] = None,
) -> None:
    """Build configs into the `datasets` cache and count their rows.

    Example: `rs-gpt4v build cap_ucm vqa_lr --data-dir /data/rs`
    """
    for config in configs:
        rows = _load(
            config,
            data_dir,
            sample,
            protocol,
            on_missing,
            num_proc=num_proc,
            exclude_leaks=exclude_leaks,
        )
        counts = "  ".join(f"{split} {part.num_rows:,}" for split, part in rows.items())
        typer.echo(f"{config}: {counts}")


@app.command()
def stats(
    data_dir: DataDir = None,
    sample: Sample = False,
    on_missing: OnMissing = "raise",
    batch_size: Annotated[int, typer.Option(help="Rows a step, to count the steps.")] = 64,
    details: Annotated[
        bool, typer.Option("--details", help="Lengths, answers, question types, templates too.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Picture to write: .png or .svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, details and all.")] = False,
) -> None:
    """Compare what the releases give with the paper's Table 1, row by row.

    Example: `rs-gpt4v stats --data-dir /data/rs --details --plot stats.png`
    """
    from rs_gpt4v_builders import composition, table1

    draw = _drawer(plot) if plot else None
    root = _root(data_dir, sample=sample)
    loaded = table1.load(data_dir=root, sample=sample, on_missing=on_missing)
    built = table1.compare(loaded)
    distinct = {split: table1.distinct_images(loaded, split) for split in ("train", "test")}
    made_of = composition.compositions(loaded) if details or plot or as_json else []
    if draw:
        draw(built, made_of, sample=sample)
    if as_json:
        numbers = table1.to_json(built, batch_size, distinct)
        made = [asdict(one) for one in made_of]
        typer.echo(json.dumps({"sample": sample, **numbers, "details": made}, indent=2))
        return
    typer.echo(table1.to_text(built, batch_size, sample=sample, distinct=distinct))
    if details:
        typer.echo(f"\n{composition.to_text(made_of)}")


@app.command()
def audit(
    configs: Annotated[
        list[str] | None, typer.Argument(help="Configs or groups; default: all that are there.")
    ] = None,
    data_dir: DataDir = None,
    sample: Sample = False,
    protocol: Protocol = "paper",
    on_missing: OnMissing = "raise",
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("audit.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every row id.")] = False,
) -> None:
    """Find test images and questions in training data, and repetition; write pictures of it.

    Example: `rs-gpt4v audit --data-dir /data/rs --out audit.html`
    """
    from rs_gpt4v_builders.audit.findings import audit as look
    from rs_gpt4v_builders.audit.page import write_page
    from rs_gpt4v_builders.audit.text import to_json, to_text

    root = _root(data_dir, sample=sample)
    found = look(
        configs or (), data_dir=root, sample=sample, protocol=protocol, on_missing=on_missing
    )
    write_page(found, out, sample=sample)
    if as_json:
        typer.echo(json.dumps({"sample": sample, **to_json(found)}, indent=2))
    else:
        typer.echo(f"{to_text(found)}\n\nPictures: {out}")


@app.command()
def export(
    kind: Annotated[str, typer.Argument(help="hub, llava, sharegpt, ms_swift or webdataset.")],
    out: Annotated[Path, typer.Argument(help="New folder, or that of the same export begun.")],
    configs: Annotated[list[str], typer.Argument(help="For instance vqa_hr cap_ucm.")],
    data_dir: DataDir = None,
    sample: Sample = False,
    protocol: Protocol = "paper",
    on_missing: OnMissing = "raise",
    box_format: Annotated[str, typer.Option(help="Text form of boxes in the messages.")] = "llava",
    exclude_leaks: Annotated[
        bool, typer.Option("--exclude-leaks", help="Leave out training rows on test images.")
    ] = False,
    images: Annotated[str, typer.Option(help="copy, hardlink or symlink.")] = "copy",
    shard_mb: Annotated[int, typer.Option(help="Size of a webdataset shard, in MB.")] = 500,
    push: Annotated[str | None, typer.Option(help="Upload to USER/NAME (hub alone).")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let all see what is pushed.")] = False,
) -> None:
    """Write rows and images as other tools read them; interrupted, it goes on where it was.

    Example: `rs-gpt4v export hub exported/ cap_ucm vqa_lr --data-dir /data/rs`
    """
    from rs_gpt4v_builders.export import export as write
    from rs_gpt4v_builders.export.hub import push as upload

    if push and kind != "hub":
        raise ValueError(f"--push uploads a hub export, not {kind}: export hub, then push that")
    if public and not push:
        raise ValueError("--public is for what is pushed: give --push USER/NAME as well")
    folder = write(
        kind,
        out,
        configs,
        images=images,
        shard_bytes=shard_mb * 1_000_000,
        data_dir=_root(data_dir, sample=sample),
        sample=sample,
        protocol=protocol,
        on_missing=on_missing,
        box_format=box_format,
        exclude_leaks=exclude_leaks,
    )
    typer.echo(f"Exported: {folder}")
    if push:
        typer.echo(f"Pushed: {upload(folder, push, private=not public)}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe.")],
    accelerate: Annotated[
        str | None,
        typer.Option(
            help="Configuration of accelerate: a YAML file, or the name of a shipped one."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it takes and what would fail.")
    ] = False,
) -> None:
    """Fine-tune with `accelerate launch`; further flags override the recipe.

    Example: `rs-gpt4v train demo_cpu --model_name_or_path outputs/demo/tiny --output_dir out`
    """
    from rs_gpt4v_training.recipe import accelerate_path, processes, recipe_path

    arguments = [str(recipe_path(recipe)), *context.args]
    machine = accelerate_path(accelerate) if accelerate else None
    if dry_run:
        from rs_gpt4v_training.dry_run import dry_run as plan

        typer.echo(plan(arguments, machine))
        return
    launch = [sys.executable, "-m", "accelerate.commands.launch"]
    if machine:
        launch += ["--config_file", str(machine)]
        arguments += ["--expected_processes", str(processes(machine))]
    done = subprocess.run([*launch, "-m", "rs_gpt4v_training.sft", *arguments], check=False)
    raise typer.Exit(done.returncode)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="Checkpoint: a folder or a Hub name.")],
    config: Annotated[str, typer.Argument(help="For instance vqa_lr.")],
    out: Annotated[Path, typer.Option(help="Predictions file; an existing one is resumed.")],
    adapter: Annotated[str | None, typer.Option(help="PEFT adapter for the model.")] = None,
    split: Split = "test",
    data_dir: DataDir = None,
    sample: Sample = False,
    protocol: Protocol = "paper",
    on_missing: OnMissing = "raise",
    batch_size: Annotated[int, typer.Option(help="Rows at once; answers do not depend on it.")] = 8,
    max_new_tokens: Annotated[int, typer.Option(help="Longest reply.")] = 64,
    box_format: Annotated[str, typer.Option(help="A codec; auto: the model's own.")] = "auto",
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that the checkpoint brings.")
    ] = False,
) -> None:
    """Let a model answer a split, greedily; interrupted, it goes on where it was.

    Example: `rs-gpt4v predict llava-hf/llava-1.5-7b-hf vqa_lr --out outputs/base/vqa_lr.jsonl`
    """
    from rs_gpt4v_evaluation import predict as evaluation

    route = None
    if adapter is None and (Path(model) / "adapter_config.json").is_file():
        raise ValueError(f"{model} is an adapter: give its base as MODEL, and --adapter {model}")
    if adapter is not None:
        from rs_gpt4v_training import moe_lora  # makes PEFT know the method

        route = moe_lora.use_task if moe_lora.is_moe_lora(adapter) else None
    predictor = evaluation.Predictor(
        model, adapter, max_new_tokens, trust_remote_code=trust_remote_code, route=route
    )
    codec = predictor.box_format if box_format == "auto" else box_format
    splits = _load(config, data_dir, sample, protocol, on_missing, box_format=codec)
    if split not in splits:
        raise ValueError(f"{config} has no split {split!r}; it has {', '.join(splits)}")
    rows = splits[split]
    described = evaluation.describe(
        rows, config=config, split=split, protocol=protocol, box_format=codec
    )
    evaluation.predict(predictor, rows, described, out, batch_size)


@app.command()
def score(
    files: Files,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score predictions files.

    Example: `rs-gpt4v score outputs/base/vqa_lr.jsonl outputs/tuned/vqa_lr.jsonl`
    """
    from rs_gpt4v_evaluation.score import score as score_file

    scores = [score_file(file) for file in files]
    if as_json:
        typer.echo(json.dumps(scores, indent=2))
        return
    for one in scores:
        dataset = one["dataset"]
        typer.echo(f"{one['file']}: {dataset['config']}/{dataset['split']}")
        typer.echo(f"  rows {one['n']:,}, missing {one['missing']:,}")
        for name, value in one["scores"].items():
            shown = f"{value:.4f}" if isinstance(value, float) else value
            typer.echo(f"  {name:24} {shown}")


@app.command()
def report(
    files: Files,
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("report.html"),
    training_log: Annotated[Path | None, typer.Option(help="A trainer_state.json.")] = None,
) -> None:
    """Write one self-contained HTML page: scores side by side, loss curve, example pictures.

    Example: `rs-gpt4v report before/vqa_lr.jsonl after/vqa_lr.jsonl --out report.html`
    """
    from rs_gpt4v_evaluation.report import report as write

    write(files, out, training_log)
    typer.echo(f"Report: {out}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything made.")] = Path("outputs/demo"),
) -> None:
    """Build, train, predict, score and report on the embedded sample: minutes on a CPU.

    Example: `rs-gpt4v demo`
    """
    from rs_gpt4v.demo import run

    run(out)


def _drawer(path: Path) -> Callable[..., None]:
    """What draws into ``path``; that it cannot is told now, not after minutes of building."""
    from rs_gpt4v_builders import stats_plot

    stats_plot.check_suffix(path)
    return partial(stats_plot.draw, path=path)


def _root(data_dir: Path | None, *, sample: bool) -> str | None:
    """The data root to read; none for the sample, which a flag beside it would contradict."""
    if not sample:
        return data_dir and str(data_dir)
    if data_dir is not None and str(data_dir) != os.environ.get("RS_GPT4V_DATA"):
        raise ValueError("--sample reads the embedded sample: leave --data-dir out")
    return None


def _load(
    config: str,
    data_dir: Path | None,
    sample: bool,
    protocol: str,
    on_missing: str,
    num_proc: int | None = None,
    **options: Any,
) -> Any:
    from datasets import load_dataset

    from rs_gpt4v import NAME

    return load_dataset(
        NAME,
        config,
        data_dir=_root(data_dir, sample=sample),
        sample=sample,
        protocol=protocol,
        on_missing=on_missing,
        num_proc=num_proc,
        **options,
    )


def main() -> None:
    """Run the command line; an expected error is one line, without a traceback."""
    try:
        app()
    except (OSError, ValueError, ImportError, subprocess.CalledProcessError) as error:
        if os.environ.get("RS_GPT4V_TRACEBACK"):
            raise
        said = str(error)
        if isinstance(error, ImportError):
            extra = "plot" if error.name == "matplotlib" else "all"
            said += f'. This verb needs more than the data: pip install "rs-gpt4v[{extra}]"'
        typer.secho(f"Error: {said}", err=True, fg=typer.colors.RED)
        sys.exit(1)


if __name__ == "__main__":
    main()
