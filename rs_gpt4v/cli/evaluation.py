"""Verbs on models and their predictions: predict, score, report."""

import json
from pathlib import Path
from typing import Annotated

import typer

from rs_gpt4v.cli.common import (
    DataDir,
    Files,
    OnMissing,
    Protocol,
    Sample,
    Split,
    load_rows,
)

app = typer.Typer()


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
    splits = load_rows(config, data_dir, sample, protocol, on_missing, box_format=codec)
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
