"""The verb that trains."""

import os
import subprocess
import sys
from typing import Annotated

import typer

app = typer.Typer()


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
    else:
        # Unless told, accelerate gives a process one thread: half the speed on two cores.
        launch += ["--num_cpu_threads_per_process", _threads()]
    done = subprocess.run([*launch, "-m", "rs_gpt4v_training.sft", *arguments], check=False)
    raise typer.Exit(done.returncode)


def _threads() -> str:
    return os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count() or 1)
