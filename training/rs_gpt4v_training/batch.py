"""The global batch: how many steps to accumulate on how many processes."""

from rs_gpt4v_training.recipe import RecipeError


def accumulation_steps(global_batch_size: int, per_device: int, processes: int) -> int:
    """Micro-batches a step, so that a step sees ``global_batch_size`` rows whatever the machine.

    Args:
        global_batch_size: Rows an optimizer step learns from, over all processes.
        per_device: Rows that one process takes at once.
        processes: The world size.

    Raises:
        RecipeError: The processes cannot share the rows evenly; names what would fit.

    >>> accumulation_steps(64, per_device=4, processes=4)
    4
    """
    at_once = per_device * processes
    if global_batch_size % at_once == 0:
        return global_batch_size // at_once
    if global_batch_size % processes:
        raise RecipeError(
            f"global_batch_size {global_batch_size} cannot be shared evenly by {processes} "
            f"processes; take {_near(global_batch_size, processes)}, or another number of processes"
        )
    share = global_batch_size // processes
    fitting = [str(n) for n in range(1, share + 1) if share % n == 0]
    raise RecipeError(
        f"global_batch_size {global_batch_size} is no multiple of per_device_train_batch_size "
        f"{per_device} on {processes} processes; per_device_train_batch_size can be "
        f"{', '.join(fitting)}"
    )


def _near(rows: int, processes: int) -> str:
    """The multiples of ``processes`` on either side of ``rows``."""
    below = rows // processes * processes
    return " or ".join(str(n) for n in (below, below + processes) if n)


def refuse_other_world(expected: int | None, processes: int) -> None:
    """Raise unless as many processes run as were asked for.

    `accelerate launch` can start fewer than its configuration says, and says nothing: on CPUs
    without MPI it starts one.

    Raises:
        RecipeError: There are more or fewer.
    """
    if expected is not None and processes != expected:
        raise RecipeError(
            f"{expected} processes were asked for and {processes} run. On CPUs start them with "
            f"ACCELERATE_USE_CPU=true torchrun --nproc_per_node {expected} -m "
            "rs_gpt4v_training.sft RECIPE; on GPUs check `accelerate env` and CUDA_VISIBLE_DEVICES."
        )
