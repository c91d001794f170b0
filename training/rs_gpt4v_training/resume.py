"""From which checkpoint an interrupted training continues."""

import logging
from pathlib import Path

from typing_extensions import TypedDict

from rs_gpt4v.files import InvalidFileError, read_json
from rs_gpt4v_training.machines import first_difference

logger = logging.getLogger(__name__)


class OutputDirError(ValueError):
    """The output folder holds another run's checkpoints; the message says what to do."""


class _State(TypedDict):
    """Of ``trainer_state.json``, which has more."""

    global_step: int


def checkpoint_to_resume(output_dir: Path, *, resume: bool, processes: int) -> Path | None:
    """The last whole checkpoint of ``output_dir``; None to start at the beginning.

    A checkpoint that a kill cut short counts as none.

    Raises:
        OutputDirError: There are checkpoints, and it was not asked to resume, or none can be.
    """
    steps = {
        int(step): path
        for path in output_dir.glob("checkpoint-*")
        if (step := path.name.removeprefix("checkpoint-")).isdecimal()
    }
    checkpoints = [steps[step] for step in sorted(steps)]
    if checkpoints and not resume:
        raise OutputDirError(
            f"{output_dir} holds {checkpoints[-1].name} of an earlier run. Give --resume to "
            "continue from it, or another --output_dir."
        )
    saved = [path for step, path in sorted(steps.items()) if _is_whole(path, step)]
    usable = [path for path in saved if _states(path) >= processes]
    if saved and not usable:
        raise OutputDirError(
            f"none of the {len(saved)} checkpoints in {output_dir} can be resumed: they were saved "
            f"without their state (save_only_model), or by fewer processes than the {processes} "
            "that run now. Give another --output_dir to start over."
        )
    if checkpoints and not usable:
        logger.warning(
            "%s: %s was cut short, and nothing was saved before it: starting at the beginning",
            output_dir,
            checkpoints[-1].name,
        )
    return usable[-1] if usable else None


def refuse_other_files(folder: Path, pattern: str = "**/*") -> None:
    """Raise unless all processes see the same files in ``folder``.

    Machines without a common disk do not. The first process saves what all need, so the others
    would begin anew, or would not begin.

    Args:
        folder: Where checkpoints are, or one of them.
        pattern: Of the files.

    Raises:
        OutputDirError: Names a file that is not there for all.
    """
    own = {f"{file.relative_to(folder)}" for file in folder.glob(pattern) if file.is_file()}
    if differing := first_difference(own):
        (has, files), (lacks, there) = differing
        odd = min(files ^ there)
        if odd in there:
            has, lacks = lacks, has
        raise OutputDirError(
            f"{folder}: {has} finds {odd} in it, {lacks} does not. To resume, all machines "
            "must have the same checkpoints: put output_dir on a disk that they share, or copy "
            "the checkpoints of each machine to all others"
        )


def _states(checkpoint: Path) -> int:
    """How many processes saved their random state."""
    return len(list(checkpoint.glob("rng_state*.pth")))


def _is_whole(checkpoint: Path, step: int) -> bool:
    """Whether it was written to its end: the trainer's state comes last, of the first process.

    The other processes' random states come when they come; of several, one is never alone.
    """
    try:
        state = read_json(checkpoint / "trainer_state.json", _State)
    except (OSError, InvalidFileError):
        return False
    alone = _states(checkpoint) == 1 and (checkpoint / "rng_state_0.pth").is_file()
    return state["global_step"] == step and not alone
