"""The verbs that train, make what DPO and KTO train on, and tell and merge what was trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rs_gpt4v.cli.common import TrustRemoteCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rs_gpt4v.preferences import Preferences

app = typer.Typer()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="YAML file, or name of an included recipe.")],
    accelerate: Annotated[
        str | None,
        typer.Option(help="Configuration of accelerate: YAML file, or name of an included one."),
    ] = None,
    method: Annotated[
        Literal["sft", "grpo", "dpo", "kto"],
        typer.Option(
            help="Learn the true answers (sft), from metrics' scores (grpo), or from preferences "
            "between replies (dpo, kto)."
        ),
    ] = "sft",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Report steps, tokens, memory and errors; do not train."),
    ] = False,
    gpu_memory: Annotated[
        float | None,
        typer.Option(
            help="With --dry-run: GB of each GPU. Default: of the GPUs found here.", min=0
        ),
    ] = None,
) -> None:
    """Fine-tune with `accelerate launch`; further flags override the recipe.

    Example: `rs-gpt4v train demo_lora --output_dir outputs/lora`

    Rewards: `rs-gpt4v train demo_grpo --method grpo --adapter outputs/lora
    --output_dir outputs/grpo`

    Preferences: `rs-gpt4v train demo_dpo --method dpo --adapter outputs/lora
    --preferences outputs/preferences --output_dir outputs/dpo`
    """
    from rs_gpt4v_training.recipe import accelerate_path, recipe_path

    arguments = [str(recipe_path(recipe)), *context.args]
    machine = accelerate_path(accelerate) if accelerate else None
    if dry_run:
        from rs_gpt4v.model_families import ignore_newer_names
        from rs_gpt4v_training.dry_run import dry_run as plan

        ignore_newer_names()
        typer.echo(plan(arguments, machine, method, gpu_memory))
        return
    from rs_gpt4v_training.launch import launch

    raise typer.Exit(launch(arguments, machine, method))


@app.command()
def card(
    folder: Annotated[Path, typer.Argument(help="Adapter or model that training saved.")],
    results: Annotated[Path, typer.Option(help="Folder or results.json of rs-gpt4v bench.")],
) -> None:
    """Write a bench's scores into the README.md of an adapter or model.

    Example: `rs-gpt4v card outputs/demo/demo_lora --results outputs/bench`
    """
    from rs_gpt4v_evaluation.bench.card import write_scores

    typer.echo(f"Scores written to {write_scores(folder, results)}")


@app.command()
def merge(
    adapter: Annotated[str, typer.Argument(help="Adapter: a folder or a Hub name.")],
    out: Annotated[Path, typer.Option(help="New folder for the merged checkpoint.")],
    model: Annotated[
        str | None, typer.Option(help="Its base model; default: the one that it names.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Of the weights, such as bfloat16; auto: the base's.")
    ] = "auto",
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Merge an adapter into its model; MoE-LoRA with routing task: one model for each task.

    Example: `rs-gpt4v merge outputs/demo/demo_lora --model embedded --out outputs/merged`
    """
    from rs_gpt4v_training import merge as write

    made = write(adapter, out, model, dtype=dtype, trust_remote_code=trust_remote_code)
    for folder in made:
        typer.echo(f"Merged: {folder}")
    typer.echo(f"Next: rs-gpt4v predict {made[0]} ..., or vllm serve {made[0]}")


@app.command()
def preferences(
    out: Annotated[Path, typer.Option(help="Folder to write; recipes name it as preferences.")],
    queues: Annotated[
        list[Path] | None,
        typer.Argument(help="Candidates of generate, each with the reviews files beside it."),
    ] = None,
    judged: Annotated[
        list[Path] | None,
        typer.Option(help="File of `judge --against`; repeatable."),
    ] = None,
    reviews: Annotated[
        list[Path] | None,
        typer.Option(help="Reviews file, in place of those beside the one queue; repeatable."),
    ] = None,
    final_say: Annotated[
        Path | None, typer.Option(help="Reviews file that settles what the others differ on.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="What image paths in queues start from; default: the queue.")
    ] = None,
) -> None:
    """Make pairs (DPO) and labelled replies (KTO) of reviews, checks and judged answers.

    Reviewers' edits are better than what they edited; what nobody reviewed is good or bad where
    the checks are sure. Example: `rs-gpt4v preferences outputs/generated/candidates.jsonl --judged
    outputs/compared.jsonl --out outputs/preferences`, then `rs-gpt4v train demo_dpo --method dpo
    --adapter outputs/lora --preferences outputs/preferences --output_dir outputs/dpo`
    """
    from rs_gpt4v.preferences import summary
    from rs_gpt4v_builders.preferences import write

    if not (queues or judged):
        raise ValueError("nothing to read: give candidates files, or --judged FILE")
    if (reviews or final_say) and len(queues or []) != 1:
        raise ValueError("--reviews and --final-say are about one queue: give just that one")
    parts = [*_decided(queues or [], reviews, final_say, images), *_judged(judged or [])]
    typer.echo(summary(write(parts, out)))
    typer.echo(f"written to {out}")


def _decided(
    queues: list[Path], reviews: list[Path] | None, final_say: Path | None, images: Path | None
) -> "Iterator[Preferences]":
    from rs_gpt4v_generation.preferences import preferences as of_queue
    from rs_gpt4v_generation.review.decisions import reviews_beside

    for queue in queues:
        beside = [file for file in reviews_beside(queue) if file != final_say]
        files = beside if reviews is None else reviews
        names = ", ".join(str(file) for file in files) or "no reviews"
        typer.echo(f"{queue}: {names}", err=True)
        yield of_queue(queue, files, final_say, images)


def _judged(files: list[Path]) -> "Iterator[Preferences]":
    from rs_gpt4v_evaluation.judge.preferences import preferences as of_judged

    yield from map(of_judged, files)
