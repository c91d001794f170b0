"""What a training run takes and where it would fail, before anything is loaded.

The model is built from its configuration on torch's meta device, and takes a step on a batch of the
longest row without values, so a 7B model needs no memory.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest import mock

import datasets
import numpy as np
import torch
import yaml
from jinja2 import TemplateError
from peft import PeftModel

from rs_gpt4v.files import AnyPath
from rs_gpt4v_training.activations import generation_bytes, step_bytes
from rs_gpt4v_training.adapters import is_quantised, quantization_config
from rs_gpt4v_training.arguments import (
    Arguments,
    DataArguments,
    DpoArguments,
    GrpoArguments,
    KtoArguments,
    ModelArguments,
    TrainingArguments,
    parse_for,
)
from rs_gpt4v_training.batch import accumulation_steps
from rs_gpt4v_training.chat_template import use_trainable_template
from rs_gpt4v_training.collators import refuse_padding_free
from rs_gpt4v_training.gradients import freeze_without_gradient, on_meta
from rs_gpt4v_training.grpo import refuse_too_few, refuse_unusable
from rs_gpt4v_training.launch import Method
from rs_gpt4v_training.moe_lora import TaskCollator
from rs_gpt4v_training.parts import refuse_untrained_projector
from rs_gpt4v_training.policy import refuse_unusable_adapter, tasks_of_routers
from rs_gpt4v_training.preference import refuse_unusable as refuse_unpreferred
from rs_gpt4v_training.preference_rows import (
    dialogues,
    refuse_unlearnable_replies,
    stored_rows,
)
from rs_gpt4v_training.recipe import RecipeError, processes
from rs_gpt4v_training.resume import checkpoint_to_resume
from rs_gpt4v_training.rewards import Rules, refuse_unrewarded
from rs_gpt4v_training.row_checks import (
    refuse_cut_rows,
    refuse_unlearnable,
    token_count,
    token_lengths,
)
from rs_gpt4v_training.rows import load_rows
from rs_gpt4v_training.sft import (
    collator,
    load_config,
    load_processor,
    tasks_of_rows,
    with_box_format,
)

_GB = 1024**3
_ADAM_STATES = 2
_NF4 = 0.5 + 4 / 64  # bytes a weight; each block of 64 has a factor of its own


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the run would be.

    Args:
        processes: One a GPU.
        shares_states: Gradients and optimizer are shared out over the GPUs (ZeRO-2).
        shares_weights: Weights are too (ZeRO-3, FSDP).
        gpu_memory: Gigabytes of each GPU; None: not known.
    """

    processes: int = 1
    shares_states: bool = False
    shares_weights: bool = False
    gpu_memory: float | None = None

    @classmethod
    def read(cls, config: Path | None, gpu_memory: float | None = None) -> "Machine":
        """From a configuration file of accelerate; one GPU without one.

        ``gpu_memory`` is by default that of the smallest GPU of this machine, if it has any.
        """
        gpu_memory = gpu_memory or _smallest_gpu()
        if config is None:
            return cls(gpu_memory=gpu_memory)
        fields = yaml.safe_load(config.read_text(encoding="utf-8"))
        stage = (fields.get("deepspeed_config") or {}).get("zero_stage", 0)
        fsdp = fields.get("distributed_type") == "FSDP"
        return cls(processes(config), stage >= 2 or fsdp, stage >= 3 or fsdp, gpu_memory)


def _smallest_gpu() -> float | None:
    gpus = range(torch.cuda.device_count())
    sizes = [torch.cuda.get_device_properties(gpu).total_memory / _GB for gpu in gpus]
    return min(sizes, default=None)


@dataclass(frozen=True, slots=True)
class Memory:
    """Gigabytes on one GPU; CUDA itself and fragments come on top, a tenth or so.

    Args:
        weights: Of the model and its adapter.
        gradients: Of what is trained.
        optimizer: What Adam holds.
        activations: The most that forward and backward take beside, for a batch of the longest row;
            or generating replies to it, with their cache, if that is more.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """All of it, as far as it is known."""
        return self.static + (0 if math.isnan(self.activations) else self.activations)

    @property
    def static(self) -> float:
        """What does not depend on the batch."""
        return self.weights + self.gradients + self.optimizer


@dataclass(frozen=True, slots=True)
class Plan:
    """What the run takes.

    Args:
        rows: Rows of an epoch.
        steps: Optimizer steps of the whole run.
        batch: Rows a step.
        shared: How they are divided over devices, in words.
        median: Tokens of the median row.
        percentile_95: Tokens that 95 % of the rows have at most.
        longest: Tokens of the longest row.
        longest_id: The id of that row.
        parameters: Of the model and its adapter.
        trained: Those that are trained.
        memory: An estimate.
        gpu_memory: Gigabytes that there are of it on each GPU; None: not known.
        problems: What would fail, each with what to do.
    """

    rows: int
    steps: int
    batch: int
    shared: str
    median: int
    percentile_95: int
    longest: int
    longest_id: str
    parameters: int
    trained: int
    memory: Memory
    gpu_memory: float | None
    problems: tuple[str, ...]


_OPTIONS: dict[Method, type[Any]] = {
    "sft": TrainingArguments,
    "grpo": GrpoArguments,
    "dpo": DpoArguments,
    "kto": KtoArguments,
}


def dry_run(
    argv: list[str],
    accelerate_config: AnyPath | None = None,
    method: Method = "sft",
    gpu_memory: float | None = None,
) -> str:
    """The plan of ``argv`` (recipe and flags as for training), as text.

    ``gpu_memory`` is that of each GPU in gigabytes; default: of the GPUs here.
    """
    accelerate_config = None if accelerate_config is None else Path(accelerate_config)
    # Without a GPU the recipe's own device would be refused before anything could be said.
    machine = Machine.read(accelerate_config, gpu_memory)
    # TRL looks at once whether the processes share out the replies to each question evenly.
    replying = mock.patch.object(GrpoArguments, "world_size", machine.processes)
    with replying if method == "grpo" else nullcontext():
        data, training, model = parse_for(_OPTIONS[method], [*argv, "--use_cpu"])
    return to_text(plan(data, training, model, machine))


def plan(data: DataArguments, training: Arguments, model: ModelArguments, machine: Machine) -> Plan:
    """What training with these arguments would take on ``machine``."""
    if data.streaming:
        raise RecipeError("a dry run reads all rows: give --streaming false")
    config = load_config(training, model)
    problems = _option_problems(training, model, machine, config.model_type)
    processor = _processor(config.model_type, training, model)
    data = with_box_format(data, config.model_type, processor)
    given = training.chat_template_path is not None
    with _collected(problems):
        use_trainable_template(processor, config.model_type, given=given)
    splits = ["train"] if training.eval_strategy == "no" else ["train", "validation"]
    parts = {split: _dialogues(data, training, model, split) for split in splits}
    rows = parts["train"]
    problems += _row_problems(parts, processor, data, training, model)
    accumulated = 1
    with _collected(problems):
        accumulated = _accumulated(training, machine)
    at_once = _replies_at_once(training, accumulated)
    problems += _unsuitable(data, training, model, parts, processor)
    with _collected(problems):
        refuse_too_few(len(rows), training, at_once * machine.processes)
    batch = training.per_device_train_batch_size * machine.processes * accumulated
    lengths, longest, index = _lengths(rows, processor)
    examples = len(rows) // (2 if isinstance(training, DpoArguments) else 1)
    tasks = sorted(set(rows["task"]))
    collate = collator(processor, config.model_type, training)
    built = on_meta(config, training, model, tasks)
    known: list[str] = []
    with _collected(problems):
        known = tasks_of_routers(built, parts)
    if known:
        collate = TaskCollator(collate, known)
    freeze_without_gradient(built, config, training, model, tasks, collate)
    if training.projector_learning_rate is not None:
        with _collected(problems):
            refuse_untrained_projector(built)
    counts = _parameters(built)
    static = static_memory(built, training, model, machine)
    activations, unknown = math.nan, []
    with _collected(unknown):
        again = partial(on_meta, config, training, model, tasks)
        activations = _most(built, again, collate, rows[index], training, at_once)
    problems += [] if problems else unknown  # a row that cannot be trained on has been named
    memory = Memory(*static, activations)
    problems += _too_much(memory, training, model, machine)
    sequences = _sequences(training, examples, at_once, machine.processes)
    return Plan(
        rows=examples,
        steps=_steps(training, sequences, batch),
        batch=batch,
        shared=f"{training.per_device_train_batch_size} a device x {machine.processes} processes "
        f"x {accumulated} accumulated",
        median=int(np.median(lengths)),
        percentile_95=int(np.percentile(lengths, 95)),
        longest=longest,
        longest_id=rows.select_columns(["id"])[index]["id"],
        parameters=sum(counts),
        trained=counts[1],
        memory=memory,
        gpu_memory=machine.gpu_memory,
        problems=tuple(problems),
    )


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    """Add what training would refuse to ``problems``; all of it is a ValueError."""
    try:
        yield
    except ValueError as error:
        problems.append(str(error))


def _processor(family: str, training: Arguments, model: ModelArguments) -> Any:
    """That of the adapter to go on with, or of the model."""
    adapter = getattr(training, "adapter", None)
    if adapter is not None:
        refuse_unusable_adapter(training, model)  # without it there is none
    return load_processor(family, training, model, adapter)


def _option_problems(
    training: Arguments, model: ModelArguments, machine: Machine, family: str
) -> list[str]:
    """What training would refuse of the options, whatever the rows."""
    problems: list[str] = []
    folder = Path(str(training.output_dir))
    with _collected(problems):
        checkpoint_to_resume(folder, resume=training.resume, processes=machine.processes)
    with _collected(problems):
        quantization_config(model)
    if getattr(training, "padding_free", False):
        with _collected(problems):
            refuse_padding_free(family)
    return problems


def _dialogues(
    data: DataArguments, training: Arguments, model: ModelArguments, split: str
) -> datasets.Dataset:
    """The rows of a split; of preferences, a row for each reply."""
    if not isinstance(training, DpoArguments | KtoArguments):
        return load_rows(data, split, training.seed)
    refuse_unpreferred(data, training, model)  # without them there are no rows
    config = "pairs" if isinstance(training, DpoArguments) else "labels"
    rows = stored_rows(data, training, config, split)
    return datasets.concatenate_datasets(dialogues(rows, f"{config}/{split}", config))


def _row_problems(
    parts: dict[str, datasets.Dataset],
    processor: Any,
    data: DataArguments,
    training: Arguments,
    model: ModelArguments,
) -> list[str]:
    """What training would refuse of the rows of each split."""
    problems: list[str] = []
    for part in parts.values():
        with _collected(problems):
            refuse_unlearnable(part, processor)
        with _collected(problems):
            refuse_cut_rows(part, processor, training.max_length)
    with _collected(problems):
        tasks_of_rows(parts, data, model)
    return problems


def _unsuitable(
    data: DataArguments,
    training: Arguments,
    model: ModelArguments,
    parts: dict[str, datasets.Dataset],
    processor: Any,
) -> list[str]:
    """What training by rewards or preferences would refuse."""
    problems: list[str] = []
    if isinstance(training, GrpoArguments):
        with _collected(problems):
            refuse_unusable(data, training, model)
        rules = Rules(data.box_format, training.counts, training.areas)
        for rows in parts.values():
            with _collected(problems):
                refuse_unrewarded(rows, training.weights, rules)
    if isinstance(training, DpoArguments | KtoArguments):
        with _collected(problems):
            refuse_unlearnable_replies(processor)
    return problems


def _replies_at_once(training: Arguments, accumulated: int) -> int:
    """How many replies a process makes at once: none but with rewards."""
    if not isinstance(training, GrpoArguments):
        return 0
    batches = training.steps_per_generation or 1
    if batches == training.gradient_accumulation_steps:
        batches = accumulated  # by default it follows those, which follow from the processes
    return training.per_device_train_batch_size * batches


def _sequences(training: Arguments, rows: int, at_once: int, processes: int) -> int:
    """What an epoch learns from: rows, or replies to them, each as often as it is learned from."""
    if not isinstance(training, GrpoArguments):
        return rows
    questions = at_once * processes // cast("int", training.num_generations)
    # What would not fill a batch of replies is left out.
    return rows // questions * at_once * processes * training.num_iterations


def _accumulated(training: Arguments, machine: Machine) -> int:
    """Micro-batches a step on ``machine``, which need not be the one that this runs on."""
    if training.global_batch_size is None:
        return training.gradient_accumulation_steps
    return accumulation_steps(
        training.global_batch_size, training.per_device_train_batch_size, machine.processes
    )


def _steps(training: Arguments, rows: int, batch: int) -> int:
    if training.max_steps > 0:
        return training.max_steps
    return math.ceil(math.ceil(rows / batch) * training.num_train_epochs)


def _lengths(rows: datasets.Dataset, processor: Any) -> tuple[np.ndarray, int, int]:
    """Every row's tokens, nearly; and the longest row's, exactly, with its index."""
    lengths = token_lengths(rows, processor)
    first = np.argsort(-lengths, kind="stable")[:20]
    exact = {int(i): token_count(rows[int(i)], processor) for i in first}
    longest = max(exact, key=exact.__getitem__)
    return lengths, exact[longest], longest


def _parameters(model: torch.nn.Module) -> tuple[int, int]:
    """How many are frozen, and how many are trained."""
    counts = {False: 0, True: 0}
    for parameter in model.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    return counts[False], counts[True]


def _most(
    built: torch.nn.Module,
    again: Callable[[], torch.nn.Module],
    collate: Any,
    row: dict[str, Any],
    training: Arguments,
    at_once: int,
) -> float:
    """Gigabytes of a step on batches of ``row``, or of making ``at_once`` replies if more.

    A model that was measured is of no use afterwards: ``again`` builds it again.
    """
    of_a_row = 2 if isinstance(training, DpoArguments) else 1
    batch = [row] * training.per_device_train_batch_size * of_a_row
    stepping = _activations(step_bytes, built, collate, batch, training)
    if not at_once or getattr(training, "use_vllm", False):
        return stepping
    replying = _activations(generation_bytes, again(), collate, [row] * at_once, training)
    return max(stepping, replying)


def _activations(
    measure: Callable[[torch.nn.Module, dict[str, Any], Arguments], int],
    built: torch.nn.Module,
    collate: Any,
    rows: list[dict[str, Any]],
    training: Arguments,
) -> float:
    """Gigabytes by ``measure`` of a batch of ``rows``, each with the longest reply to come.

    Raises:
        RecipeError: The model's code asks for values, or its processor refuses the row.
    """
    try:
        batch = dict(collate(rows))
        shape = batch["input_ids"].shape
        more = getattr(training, "max_completion_length", None) or 0
        for name, values in batch.items():
            if values.shape == shape and more:
                batch[name] = torch.cat([values, values[:, -1:].expand(-1, more)], 1)
        return measure(built, batch, training) / _GB
    except (RuntimeError, ValueError, TemplateError) as error:
        raise RecipeError(
            "the memory of activations cannot be told, as this model does not take a step without "
            f"values: {str(error).strip() or type(error).__name__}"
        ) from error


def static_memory(
    built: torch.nn.Module, training: Arguments, model: ModelArguments, machine: Machine
) -> tuple[float, float, float]:
    """Gigabytes of weights, gradients and optimizer; Adam holds two values for each weight."""
    trained = [p for p in built.parameters() if p.requires_grad]
    weights = sum(map(_size, built.parameters())) - _saved_by_bits(built, model)
    if _compares(training):  # what it started from stays beside it
        if not isinstance(built, PeftModel):
            weights *= 2
        elif getattr(training, "adapter", None):
            weights += sum(map(_size, trained))
    gradients = sum(map(_size, trained))
    state = sum(p.numel() for p in trained) if "8bit" in str(training.optim) else gradients
    shared = machine.processes if machine.shares_states else 1
    return (
        weights / (machine.processes if machine.shares_weights else 1) / _GB,
        gradients / shared / _GB,
        state * _ADAM_STATES / shared / _GB,
    )


def _compares(training: Arguments) -> bool:
    """Whether replies are compared with those of the model that it started from."""
    if isinstance(training, GrpoArguments):
        return training.beta != 0
    return isinstance(training, DpoArguments | KtoArguments)


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _saved_by_bits(built: torch.nn.Module, model: ModelArguments) -> float:
    """The bytes that 4 or 8 bits save on the linear layers of the language model."""
    if not (model.load_in_4bit or model.load_in_8bit):
        return 0.0
    stored = _NF4 if model.load_in_4bit else 1
    weights = [
        module.weight
        for name, module in built.named_modules()
        if isinstance(module, torch.nn.Linear) and is_quantised(name)
    ]
    return sum(w.numel() * (w.element_size() - stored) for w in weights if not w.requires_grad)


def _too_much(
    memory: Memory, training: Arguments, model: ModelArguments, machine: Machine
) -> list[str]:
    """Why it does not fit the GPUs, and what to do; none if it does, or if nothing is known."""
    if machine.gpu_memory is None or memory.total <= machine.gpu_memory:
        return []
    advice = []
    if memory.static < machine.gpu_memory:
        if not training.gradient_checkpointing:
            advice.append("gradient_checkpointing: true")
        if training.per_device_train_batch_size > 1:
            advice.append("a smaller per_device_train_batch_size")
    if not machine.shares_weights:
        advice.append("several GPUs that share the model (--accelerate zero3 or fsdp2)")
    if not (model.has_adapter or getattr(training, "adapter", None)):
        advice.append("an adapter (use_peft: true)")
    elif not model.load_in_4bit:
        advice.append("weights of four bits (load_in_4bit: true)")
    least = (
        f"weights, gradients and optimizer alone are {memory.static:.1f} GB"
        if memory.static >= machine.gpu_memory
        else f"activations are {memory.activations:.1f} GB of them"
    )
    return [
        f"about {memory.total:.1f} GB a GPU do not fit {machine.gpu_memory:.1f} GB: {least}. "
        f"Take {', or '.join(advice) or 'a smaller model or GPUs with more memory'}"
    ]


def to_text(plan: Plan) -> str:
    """The plan as a person reads it."""
    memory = plan.memory
    return "\n".join(
        [
            f"rows        {plan.rows:,} an epoch",
            f"steps       {plan.steps:,} of {plan.batch} rows: {plan.shared}",
            f"tokens      {plan.median:,} in the median row, 95 % have at most "
            f"{plan.percentile_95:,}, the longest {plan.longest:,} ({plan.longest_id})",
            f"parameters  {plan.parameters:,}, of which {plan.trained:,} are trained "
            f"({plan.trained / plan.parameters:.2%})",
            f"memory      about {memory.total:.1f} GB a GPU: weights {memory.weights:.1f}, "
            f"gradients {memory.gradients:.1f}, optimizer {memory.optimizer:.1f}, activations "
            f"{_known(memory.activations)} for a batch of the longest row",
            *(f"PROBLEM     {problem}" for problem in plan.problems),
            *([] if plan.problems else [_fine(plan)]),
        ]
    )


def _fine(plan: Plan) -> str:
    if plan.gpu_memory is not None:
        return f"nothing found that would fail on GPUs of {plan.gpu_memory:.1f} GB"
    return (
        "nothing found that would fail, if the memory is there: there is no GPU here; "
        "--gpu-memory GB tells whether one of that size is enough"
    )


def _known(gigabytes: float) -> str:
    return "unknown" if math.isnan(gigabytes) else f"{gigabytes:.1f}"
