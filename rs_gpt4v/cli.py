"""`rs-gpt4v`: one short function a verb. What a verb needs is imported inside it."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
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
def sources(data_dir: DataDir = None) -> None:
    """Show which releases are found, what is missing, and where to get it.

    Example: `rs-gpt4v sources --data-dir /data/rs`
    """
    from rs_gpt4v_builders.inventory import inventory

    root = (data_dir or Path()).absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder: give the releases' parent with --data-dir")
    typer.echo(f"Looking in {root}")
    for found in inventory(root):
        source = found.source
        typer.echo(f"{found.status:8} {source.title:30} {', '.join(found.configs)}")
        typer.echo(f"         {found.folder or 'get it from ' + source.homepage}")
        if found.lacking:
            typer.echo(f"         lacks {', '.join(found.lacking)}; see {source.homepage}")
        typer.echo(f"         licence: {source.license}")


@app.command()
def build(
    configs: Annotated[list[str], typer.Argument(help="For instance vqa_hr cap_ucm.")],
    data_dir: DataDir = None,
    sample: Sample = False,
    protocol: Protocol = "paper",
    on_missing: OnMissing = "raise",
    num_proc: Annotated[int | None, typer.Option(help="Processes.")] = None,
) -> None:
    """Build configs into the `datasets` cache and count their rows.

    Example: `rs-gpt4v build cap_ucm vqa_lr --data-dir /data/rs`
    """
    for config in configs:
        rows = _load(config, data_dir, sample, protocol, on_missing, num_proc=num_proc)
        counts = "  ".join(f"{split} {part.num_rows:,}" for split, part in rows.items())
        typer.echo(f"{config}: {counts}")


@app.command()
def stats(
    data_dir: DataDir = None,
    sample: Sample = False,
    on_missing: OnMissing = "raise",
    batch_size: Annotated[int, typer.Option(help="Rows a step, to count the steps.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare what the releases give with the paper's Table 1, row by row.

    Example: `rs-gpt4v stats --data-dir /data/rs`
    """
    from rs_gpt4v_builders import table1

    root = None if sample or data_dir is None else str(data_dir)
    built = list(table1.compare(data_dir=root, sample=sample, on_missing=on_missing))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in built], indent=2))
    else:
        typer.echo(table1.to_text(built, batch_size))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe.")],
) -> None:
    """Fine-tune with `accelerate launch`; further flags override the recipe.

    Example: `rs-gpt4v train demo_cpu --model_name_or_path outputs/demo/tiny --output_dir out`
    """
    from rs_gpt4v_training.recipe import recipe_path

    launch = [sys.executable, "-m", "accelerate.commands.launch", "-m", "rs_gpt4v_training.sft"]
    done = subprocess.run([*launch, str(recipe_path(recipe)), *context.args], check=False)
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
) -> None:
    """Let a model answer a split, greedily; interrupted, it goes on where it was.

    Example: `rs-gpt4v predict llava-hf/llava-1.5-7b-hf vqa_lr --out outputs/base/vqa_lr.jsonl`
    """
    from rs_gpt4v_evaluation import predict as evaluation

    splits = _load(config, data_dir, sample, protocol, on_missing)
    if split not in splits:
        raise ValueError(f"{config} has no split {split!r}; it has {', '.join(splits)}")
    rows = splits[split]
    described = evaluation.describe(rows, config=config, split=split, protocol=protocol)
    predictor = evaluation.Predictor(model, adapter, max_new_tokens)
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


def _load(
    config: str,
    data_dir: Path | None,
    sample: bool,
    protocol: str,
    on_missing: str,
    num_proc: int | None = None,
) -> Any:
    from datasets import load_dataset

    from rs_gpt4v import NAME

    return load_dataset(
        NAME,
        config,
        data_dir=None if sample or data_dir is None else str(data_dir),
        sample=sample,
        protocol=protocol,
        on_missing=on_missing,
        num_proc=num_proc,
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
            said += '. This verb needs more than the data: pip install "rs-gpt4v[all]"'
        typer.secho(f"Error: {said}", err=True, fg=typer.colors.RED)
        sys.exit(1)


if __name__ == "__main__":
    main()
