"""Starts training with accelerate, and lets a failed process say by itself why."""

import logging
import os
import subprocess
from pathlib import Path
from typing import Literal

from rs_gpt4v.files import AnyPath
from rs_gpt4v_training.recipe import processes

Method = Literal["sft", "grpo", "dpo", "kto"]


def launch(arguments: list[str], machine: AnyPath | None = None, method: Method = "sft") -> int:
    """Run the module of ``method`` with ``arguments``; return the exit status.

    Args:
        arguments: Recipe and flags.
        machine: A configuration file of accelerate.
        method: The module.
    """
    machine = None if machine is None else Path(machine)
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    options = ["--quiet"]
    if machine:
        options += ["--config_file", str(machine)]
        arguments = [*arguments, "--expected_processes", str(processes(machine))]
    else:
        # Unless told, accelerate gives a process one thread: half the speed on two cores.
        threads = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count() or 1)
        options += ["--num_cpu_threads_per_process", threads]
    # Where there is no configuration, it lists the defaults that it takes.
    logging.getLogger("accelerate.commands.launch").setLevel(logging.ERROR)
    parser = launch_command_parser()
    try:
        launch_command(
            parser.parse_args([*options, "-m", f"rs_gpt4v_training.{method}", *arguments])
        )
    except (SystemExit, ChildFailedError, subprocess.CalledProcessError):
        return 1  # the process that failed has said why
    return 0
