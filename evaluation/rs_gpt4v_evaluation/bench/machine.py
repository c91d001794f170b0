"""What a bench ran on: versions, hardware, time, and energy where a meter is there."""

import importlib.util
import os
import platform
from importlib import metadata
from typing import Any

_PACKAGES = ("rs-gpt4v", "torch", "transformers", "peft", "accelerate", "datasets")


def versions() -> dict[str, str]:
    """Of Python and of the packages that replies or scores depend on, where they are installed."""
    installed = {
        found.name: found.version
        for name in _PACKAGES
        for found in metadata.distributions(name=name)
    }
    return {"python": platform.python_version(), **installed}


def hardware() -> dict[str, Any]:
    """Of this machine, as torch sees it."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"system": platform.platform(), "cpus": os.cpu_count(), "gpus": gpus}


def local_processes() -> int:
    """How many processes a launcher has started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


class Meter:
    """Joules that this machine's NVIDIA GPUs have taken since; None where NVML does not tell.

    The counters of processors (RAPL) are not read: they overflow within the hour.
    """

    def __init__(self) -> None:
        self._before = _millijoules()

    def joules(self) -> float | None:
        """Of all GPUs since the meter was made, whoever used them."""
        now = _millijoules()
        return None if now is None or self._before is None else (now - self._before) / 1000


def _millijoules() -> int | None:
    if importlib.util.find_spec("pynvml") is None:
        return None
    nvml: Any = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
        gpus = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        return sum(map(nvml.nvmlDeviceGetTotalEnergyConsumption, gpus))
    except nvml.NVMLError:  # no driver, or GPUs of a generation without such a counter
        return None
