"""Which checkpoint an interrupted training goes on from."""

import json
from pathlib import Path


class OutputDirError(ValueError):
    """The output folder holds another run's checkpoints; the message says what to do."""


def checkpoint_to_resume(output_dir: Path, *, resume: bool, processes: int) -> Path | None:
    """The last whole checkpoint of ``output_dir``; None to start at the beginning.

    Raises:
        OutputDirError: There are checkpoints, and it was not asked to resume, or none can be.
    """
    checkpoints = sorted(output_dir.glob("checkpoint-*"), key=_step)
    if checkpoints and not resume:
        raise OutputDirError(
            f"{output_dir} holds {checkpoints[-1].name} of an earlier run. Give --resume to go on "
            "from it, or another --output_dir."
        )
    whole = [path for path in checkpoints if _is_whole(path, processes)]
    if checkpoints and not whole:
        raise OutputDirError(
            f"none of the {len(checkpoints)} checkpoints in {output_dir} can be resumed: they were "
            f"cut short, or saved without their state (save_only_model), or by fewer processes "
            f"than the {processes} that run now. Give another --output_dir to start over."
        )
    return whole[-1] if whole else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _is_whole(checkpoint: Path, processes: int) -> bool:
    """Whether it was written to its end: the trainer's state comes last, of the first process.

    The other processes' random states come when they come.
    """
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False
    states = len(list(checkpoint.glob("rng_state*.pth")))
    return state.get("global_step") == _step(checkpoint) and states >= processes
