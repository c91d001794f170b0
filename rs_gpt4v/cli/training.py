"""The verbs that train, and that tell and merge what was trained."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rs_gpt4v.cli.common import TrustRemoteCode

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
        Literal["sft", "grpo"],
        typer.Option(help="Learn the true answers (sft), or from metrics' scores (grpo)."),
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

    Rewards: `rs-gpt4v train demo_grpo --method grpo --output_dir outputs/grpo`
    """
    from rs_gpt4v_training.recipe import accelerate_path, recipe_path

    arguments = [str(recipe_path(recipe)), *context.args]
    machine = accelerate_path(accelerate) if accelerate else None
    if dry_run:
        from rs_gpt4v_training.dry_run import dry_run as plan

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
