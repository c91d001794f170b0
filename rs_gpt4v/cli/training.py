"""The verb that trains."""

from typing import Annotated, Literal

import typer

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
