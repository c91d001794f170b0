"""Every method of training under every launcher: killed, resumed, loaded, on two CPU processes.

    python benchmarks/launchers.py OUT [--methods lora full] [--launchers ddp zero3]

A cell is a method under a launcher. It is trained whole; then again, killed (``kill -9``) after the
first checkpoint; then resumed. The losses and weights of the last must equal those of the first,
and what was saved must load in one process and have the loss there that the launcher's processes
had. A tiny LLaVA, 4 steps of 4 rows, dropout 0.1, a projector trained in full beside adapters.

Finished cells stand in OUT/METHOD-LAUNCHER/cell.json and are not run again. DeepSpeed and
bitsandbytes are needed for their cells only (``pip install deepspeed bitsandbytes``).

accelerate decides by what CUDA says whether there are processes at all, so on a CPU FSDP2 and
DeepSpeed are told that there are (`_as_if_on_gpus`). All else is accelerate's own: the environment
that `accelerate launch` makes of the shipped configurations, the wrapping, saving and loading. A
process is forked from this one, which has all imports, because they take most of a tiny run.
"machines" alone starts `rs-gpt4v train --accelerate` as a user would, twice, for two machines that
meet on loopback.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from safetensors.torch import load_file
from tiny_llava import build_tiny_llava

import rs_gpt4v_builders.builder  # noqa: F401, once here, not in each fork
from rs_gpt4v_training import grpo, sft
from rs_gpt4v_training.arguments import GrpoArguments, TrainingArguments, parse_for
from rs_gpt4v_training.recipe import accelerate_path

STEPS, SAVED = 4, 2
LIMIT = 600  # seconds of a run, on a busy machine
RECIPE: dict[str, Any] = {
    "datasets": ["vqa_lr", "cap_ucm"],
    "max_rows": 8,
    "max_steps": STEPS,
    "save_steps": SAVED,
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "global_batch_size": 4,
    "eval_strategy": "steps",
    "eval_steps": STEPS,
    "learning_rate": 0.01,
    "projector_learning_rate": 0.001,
    "logging_steps": 1,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "disable_tqdm": True,
}
ADAPTER = {"lora_r": 4, "lora_dropout": 0.1, "lora_modules_to_save": ["multi_modal_projector"]}
MOE = {**ADAPTER, "use_moe_lora": True, "num_experts": 2}
METHODS: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {**ADAPTER, "use_peft": True},
    "moe_token": MOE,
    "moe_top_k": {**MOE, "routing": "top_k", "top_k": 1},
    "moe_task": {**MOE, "routing": "task"},
    "qlora": {**ADAPTER, "use_peft": True, "load_in_4bit": True},
    "grpo": {
        **ADAPTER,
        "use_peft": True,
        "datasets": ["vqa_lr"],
        "num_generations": 2,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "max_completion_length": 4,
        "rewards": {"answer": 1, "length": 0.25},
        "eval_strategy": "no",
        "lora_dropout": 0.0,  # so that one process and two can be compared
    },
}
LAUNCHERS = ("plain", "ddp", "fsdp2", "zero2", "zero3", "machines")
CONFIG = {"machines": "ddp"}
# TRL counts tokens from the resumed step on.
VOLATILE = re.compile(r".*(runtime|per_second|step_time|num_tokens)$")


# One process of a run


def _as_if_on_gpus() -> None:
    """Let accelerate take several processes on a CPU for what it takes them on GPUs."""
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    several: Any = lambda *_: ("gloo", DistributedType.MULTI_GPU)  # noqa: E731
    PartialState._prepare_backend = several


def _sample_alike(copies: int) -> None:
    """Let the replies to a row be the same ones however the rows are shared out."""
    import torch

    quantiles = torch.tensor([0.3, 0.7])[:copies]

    def multinomial(weights: Any, *_: Any, **__: Any) -> Any:
        below = quantiles.repeat(len(weights) // copies)[:, None] * weights.sum(-1, keepdim=True)
        return (weights.cumsum(-1) < below).sum(-1, keepdim=True)

    torch.multinomial = multinomial


def _fork(work: Callable[[], object], environment: dict[str, str], log: Path) -> int:
    """The id of a process that does ``work``; its output is appended to ``log``."""
    if child := os.fork():
        return child
    code = 1
    try:
        with log.open("ab", 0) as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.environ.update(environment)
        work()
        sft.leave_process_group()
        code = 0
    except BaseException:  # noqa: BLE001 (a fork must not go on with what its parent does)
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


# Starting and ending the processes of a run


def _free_port() -> str:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return str(door.getsockname()[1])


def _two_processes(launcher: str, folder: Path, **changes: Any) -> Path:
    """The shipped configuration for two processes, with ``changes``."""
    text = accelerate_path(CONFIG.get(launcher, launcher)).read_text(encoding="utf-8")
    changes = {"num_processes": 2} | changes
    for name, value in changes.items():
        text, found = re.subn(rf"(?m)^{name}:.*$", f"{name}: {value}", text)
        text = text if found else f"{text}{name}: {value}\n"
    path = folder / f"accelerate{changes.get('machine_rank', '')}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _environment(launcher: str, folder: Path) -> dict[str, str]:
    """What `accelerate launch` sets for ``launcher``."""
    if launcher in ("plain", "ddp"):
        return {"ACCELERATE_USE_CPU": "true"}  # accelerate's own way on CPUs
    parser = launch_command_parser()
    config = str(_two_processes(launcher, folder))
    options, *_ = _validate_launch_command(parser.parse_args(["--config_file", config, "-m", "x"]))
    options.deepspeed_fields_from_accelerate_config = ""
    if launcher.startswith("zero"):
        made = prepare_deepspeed_cmd_env(options)[1]
    else:
        made = prepare_multi_gpu_env(options)
    return {**made, "ACCELERATE_TORCH_DEVICE": "cpu"}


def _start(method: str, launcher: str, out: Path, flags: Sequence[str]) -> list[int]:
    """The ids of the processes that train into ``out``."""
    folder = out.parent
    argv = [str(folder / "recipe.yaml"), "--output_dir", str(out), *flags]
    log = out.with_suffix(".log")
    if launcher == "machines":
        return _start_machines(method, folder, argv, log)
    ranks = 1 if launcher == "plain" else 2
    common = _environment(launcher, folder)
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}

    def work() -> None:
        if launcher not in ("plain", "ddp"):
            _as_if_on_gpus()
        if method == "grpo":
            _sample_alike(METHODS[method]["num_generations"])
        (grpo if method == "grpo" else sft).main(argv)

    each = [
        {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "WORLD_SIZE": f"{ranks}"}
        | {"LOCAL_WORLD_SIZE": f"{ranks}"}
        for rank in range(ranks)
    ]
    return [_fork(work, common | (own if ranks > 1 else {}), log) for own in each]


def _start_machines(method: str, folder: Path, argv: list[str], log: Path) -> list[int]:
    port = _free_port()
    meeting = {"num_machines": 2, "main_process_ip": "127.0.0.1", "main_process_port": port}
    started = []
    for rank in range(2):
        config = _two_processes("machines", folder, machine_rank=rank, **meeting)
        command = [sys.executable, "-m", "rs_gpt4v.cli", "train", argv[0], "--accelerate"]
        command += [str(config), "--method", "grpo" if method == "grpo" else "sft", *argv[1:]]
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                env=os.environ | {"ACCELERATE_USE_CPU": "true"},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        started.append(process.pid)
    return started


def _kill(started: Sequence[int], launcher: str) -> None:
    for process in started:
        (os.killpg if launcher == "machines" else os.kill)(process, signal.SIGKILL)
    for process in started:
        os.waitpid(process, 0)


def _finish(started: Sequence[int], launcher: str, out: Path, limit: float = LIMIT) -> None:
    """Wait for all, and end the others when one fails.

    Raises:
        RuntimeError: One failed, or they took longer than ``limit`` seconds.
    """
    left, until, log = set(started), time.monotonic() + limit, out.with_suffix(".log")
    failed = False
    while left:
        for process in tuple(left):
            done, status = os.waitpid(process, os.WNOHANG)
            left -= {done}
            failed |= bool(done and status)
        if failed:
            time.sleep(3)  # the others say why too
        if left and (failed or time.monotonic() > until):
            _kill([*left], launcher)
            raise RuntimeError(_why(log) if failed else f"took longer than {limit:.0f} s")
        time.sleep(0.05)
    if failed:
        raise RuntimeError(_why(log))


def _why(log: Path) -> str:
    """The first error in a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [
        line for line in lines if re.match(r"(\[rank\d\]: )?\w*[\w.]*(Error|Exception)\b", line)
    ]
    return errors[0] if errors else lines[-1] if lines else ""


# A cell


def _log(out: Path) -> list[dict[str, Any]]:
    """The log of a run without what differs from run to run."""
    entries = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [
        {name: value for name, value in entry.items() if not VOLATILE.match(name)}
        for entry in entries
        if "train_loss" not in entry  # of the steps after resuming only
    ] + _router_log(out)


def _router_log(out: Path) -> list[dict[str, Any]]:
    file = out / "router_statistics.jsonl"
    return [*map(json.loads, file.read_text().splitlines())] if file.exists() else []


def _weights(out: Path) -> dict[str, Any]:
    adapter = out / "adapter_model.safetensors"
    return load_file(adapter if adapter.exists() else out / "model.safetensors")


def _difference(a: Any, b: Any) -> float:
    """The largest between two logs, or between two files of tensors; infinite if names differ."""
    if isinstance(a, list):
        return max(map(_difference, a, b)) if len(a) == len(b) else float("inf")
    if isinstance(a, dict):
        same = a.keys() == b.keys()
        return max(_difference(a[name], b[name]) for name in a) if same else float("inf")
    return float(abs(a - b).max() if hasattr(a, "max") else abs(a - b))


def _cut(method: str, launcher: str, out: Path) -> None:
    """Train, and kill after the first checkpoint."""
    started = _start(method, launcher, out, [])
    ranks = 1 if launcher == "plain" else 2
    until = time.monotonic() + LIMIT
    saved = out / f"checkpoint-{SAVED}"
    while not _is_saved(saved, ranks):
        if time.monotonic() > until or any(os.waitpid(p, os.WNOHANG)[0] for p in started):
            raise RuntimeError(_why(out.with_suffix(".log")))
        time.sleep(0.005)
    _kill(started, launcher)
    if (out / f"checkpoint-{STEPS}").exists():
        raise RuntimeError("was killed too late")


def _is_saved(checkpoint: Path, ranks: int) -> bool:
    states = [*checkpoint.glob("rng_state*")]
    return len(states) == ranks and (checkpoint / "trainer_state.json").exists()


def _load(method: str, folder: Path) -> None:
    """Load what was saved in this one process; write its loss, and which tensors are not there."""
    from peft import PeftModel, get_peft_model_state_dict
    from transformers import AutoModelForImageTextToText

    out = folder / "whole"
    module: Any = grpo if method == "grpo" else sft
    argv = [str(folder / "recipe.yaml"), "--output_dir", str(folder / "loaded")]
    kind = GrpoArguments if method == "grpo" else TrainingArguments
    trainer: Any = module.make_trainer(*parse_for(kind, argv))
    if method == "full":
        # ZeRO-3 saves the names that the model has, the others those of the release: both load.
        saved, info = AutoModelForImageTextToText.from_pretrained(out, output_loading_info=True)
        trainer.model.load_state_dict(saved.state_dict())  # TRL has changed this one's forward pass
        not_there = [*info["missing_keys"], *info["unexpected_keys"]]
    else:
        loaded = PeftModel.from_pretrained(trainer.model.unload(), str(out))
        trainer.model = trainer.model_wrapped = loaded
        not_there = set(get_peft_model_state_dict(loaded)) ^ set(_weights(out))
    loss = None if method == "grpo" else trainer.evaluate()["eval_loss"]
    count = len(_weights(out))
    result = {"eval_loss": loss, "tensors": count, "not_there": sorted(not_there)}
    (folder / "loaded.json").write_text(json.dumps(result))


def run_cell(method: str, launcher: str, folder: Path) -> dict[str, Any]:
    """Train whole; train, kill and resume; load. What came of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shared = folder.parent
    data = {"model_name_or_path": str(shared / "tiny"), "data_dir": str(shared / "releases")}
    (folder / "recipe.yaml").write_text(json.dumps(RECIPE | METHODS[method] | data))
    whole, resumed = folder / "whole", folder / "resumed"
    _finish(_start(method, launcher, whole, []), launcher, whole)
    _cut(method, launcher, resumed)
    first = resumed / f"checkpoint-{SAVED}/trainer_state.json"
    saved_at = first.stat().st_mtime_ns
    _finish(_start(method, launcher, resumed, ["--resume"]), launcher, resumed)
    if first.stat().st_mtime_ns != saved_at:
        raise RuntimeError("began again instead of resuming")
    plain = {"ACCELERATE_USE_CPU": "true"}
    load = _fork(lambda: _load(method, folder), plain, folder / "load.log")
    _finish([load], "plain", folder / "load")
    loaded = json.loads((folder / "loaded.json").read_text())
    logs = _log(whole), _log(resumed)
    losses = [entry["loss"] for entry in logs[0] if "loss" in entry]
    loss = loaded["eval_loss"]
    return {
        "losses": losses,
        "log": _difference(*logs),
        "weights": _difference(_weights(whole), _weights(resumed)),
        "loaded": loss
        and max(abs(loss - entry["eval_loss"]) for entry in logs[0] if "eval_loss" in entry),
        "tensors": loaded["tensors"],
        "not_there": loaded["not_there"],
    }


def cell(method: str, launcher: str, out: Path) -> dict[str, Any]:
    """`run_cell`, or what it found before; or the error that ended it."""
    folder = out / f"{method}-{launcher}"
    kept = folder / "cell.json"
    if kept.exists():
        return json.loads(kept.read_text())
    began = time.monotonic()
    try:
        result = run_cell(method, launcher, folder)
    except RuntimeError as error:
        return {"error": str(error)[:300]}  # not kept: it is tried again
    result["seconds"] = round(time.monotonic() - began)
    kept.write_text(json.dumps(result))
    return result


# The table


def _shown(result: dict[str, Any], plain: list[float] | None) -> str:
    """A cell in words, such as "log 0, weights 0; loads 88, 1e-08; first loss 2e-07"."""
    if "error" in result:
        return f"fails: {result['error']}"
    text = f"log {_number(result['log'])}, weights {_number(result['weights'])}"
    text += f"; {result['tensors']} tensors"
    if result["not_there"]:
        text += f" ({len(result['not_there'])} not there: {result['not_there'][0]})"
    if result["loaded"] is not None:
        text += f", loss {_number(result['loaded'])}"
    if plain:
        steps = [abs(a - b) for a, b in zip(result["losses"], plain, strict=True)]
        text += f"; plain {_number(steps[0])}, {_number(max(steps))}"
    return text


def _number(value: float) -> str:
    return f"{value:.0e}" if value else "0"


def _prepare(out: Path) -> None:
    """The model and the rows of all cells, in one process of its own."""
    from rs_gpt4v_builders.sample import write_sample

    if not (out / "tiny").exists():
        texts = ["What is shown?", "How many ships are there?", "yes", "no", "rural", "urban"]
        # bitsandbytes packs weights by 64 for CPUs.
        size = {"image_size": 28, "patch_size": 14, "hidden_size": 64, "vocab_size": 400}
        build_tiny_llava(out / "tiny", texts, **size)
    if not (out / "releases").exists():
        write_sample(out / "releases", scale=0.15)


def _build_deepspeed() -> None:
    """Its extension for CPUs, compiled at the first use: both processes at once would hang."""
    from deepspeed.accelerator import get_accelerator

    get_accelerator().create_op_builder("ShareMemCommBuilder").load()


def main() -> None:
    """Run the cells asked for, and print the table of all that are there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    parser.add_argument("--launchers", nargs="+", choices=LAUNCHERS, default=LAUNCHERS)
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.environ["HF_HOME"] = str(out / "hf")
    _finish([_fork(lambda: _prepare(out), {}, out / "prepare.log")], "plain", out / "prepare")
    if find_spec("deepspeed") and any(name.startswith("zero") for name in options.launchers):
        _finish([_fork(_build_deepspeed, {}, out / "ext.log")], "plain", out / "ext", 600)
    names = ("torch", "accelerate", "transformers", "trl", "peft", "deepspeed", "bitsandbytes")
    print(", ".join(f"{name} {version(name)}" for name in names if find_spec(name)))
    for method in options.methods:
        plain = None
        for launcher in options.launchers:
            result = cell(method, launcher, out)
            print(f"| {method} | {launcher} | {_shown(result, plain)} |", flush=True)
            if launcher == "plain":
                plain = result.get("losses")


if __name__ == "__main__":
    main()
