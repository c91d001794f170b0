"""What a training run takes and where it would fail, before anything is loaded.

The model is built from its configuration on torch's meta device, so a 7B model needs no memory.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import yaml
from peft import PeftConfig, get_peft_model
from transformers import AutoModelForImageTextToText

from rs_gpt4v_training.adapters import peft_config, quantization_config
from rs_gpt4v_training.arguments import (
    DataArguments,
    GrpoArguments,
    ModelArguments,
    TrainingArguments,
    parse_for,
)
from rs_gpt4v_training.batch import accumulation_steps
from rs_gpt4v_training.chat_template import use_trainable_template
from rs_gpt4v_training.grpo import refuse_unusable
from rs_gpt4v_training.launch import Method
from rs_gpt4v_training.parts import freeze_all_but, refuse_untrained_projector
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
from rs_gpt4v_training.sft import load_config, load_processor, with_box_format

Arguments = TrainingArguments | GrpoArguments

_GB = 1024**3
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_ADAM_STATES = 2
# Korthikanti et al. 2022 (arXiv 2205.05198), equation 2, without the part that fused attention
# does not keep: 34 bytes a token and hidden unit of a layer at two bytes a value.
_VALUES_A_LAYER = 17


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the run would be.

    Args:
        processes: One a GPU.
        shares_states: Gradients and optimizer are shared out over the GPUs (ZeRO-2).
        shares_weights: Weights are too (ZeRO-3, FSDP).
    """

    processes: int = 1
    shares_states: bool = False
    shares_weights: bool = False

    @classmethod
    def read(cls, config: Path | None) -> "Machine":
        """From a configuration file of accelerate; one GPU without one."""
        if config is None:
            return cls()
        fields = yaml.safe_load(config.read_text(encoding="utf-8"))
        stage = (fields.get("deepspeed_config") or {}).get("zero_stage", 0)
        fsdp = fields.get("distributed_type") == "FSDP"
        return cls(processes(config), stage >= 2 or fsdp, stage >= 3 or fsdp)


@dataclass(frozen=True, slots=True)
class Memory:
    """Gigabytes on one GPU; CUDA itself and fragments come on top, a tenth or so."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations


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
    problems: tuple[str, ...]


_OPTIONS: dict[Method, type[Any]] = {"sft": TrainingArguments, "grpo": GrpoArguments}


def dry_run(argv: list[str], accelerate_config: Path | None = None, method: Method = "sft") -> str:
    """The plan of ``argv`` (recipe and flags as for training), as text."""
    # Without a GPU the recipe's own device would be refused before anything could be said.
    data, training, model = parse_for(_OPTIONS[method], [*argv, "--use_cpu"])
    return to_text(plan(data, training, model, Machine.read(accelerate_config)))


def plan(data: DataArguments, training: Arguments, model: ModelArguments, machine: Machine) -> Plan:
    """What training with these arguments would take on ``machine``."""
    if data.streaming:
        raise RecipeError("a dry run reads all rows: give --streaming false")
    problems: list[str] = []
    folder = Path(str(training.output_dir))
    with _collected(problems):
        checkpoint_to_resume(folder, resume=training.resume, processes=machine.processes)
    with _collected(problems):
        quantization_config(model)
    config = load_config(training, model)
    processor = load_processor(config.model_type, training, model)
    data = with_box_format(data, config.model_type, processor)
    given = training.chat_template_path is not None
    with _collected(problems):
        use_trainable_template(processor, config.model_type, given=given)
    rows = load_rows(data, "train", training.seed)
    evaluated = training.eval_strategy != "no"
    for part in (rows, *([load_rows(data, "validation", training.seed)] if evaluated else [])):
        with _collected(problems):
            refuse_unlearnable(part, processor)
        with _collected(problems):
            refuse_cut_rows(part, processor, training.max_length)
    problems += _unrewarded(data, training, model, rows)
    accumulated = 1
    with _collected(problems):
        accumulated = _accumulated(training, machine)
    batch = training.per_device_train_batch_size * machine.processes * accumulated
    lengths, longest, longest_id = _lengths(rows, processor)
    replies, reply = _replies(training)
    built = _on_meta(config, training, model, sorted(set(rows["task"])))
    if training.projector_learning_rate is not None:
        with _collected(problems):
            refuse_untrained_projector(built)
    counts = _parameters(built)
    return Plan(
        rows=len(rows),
        steps=_steps(training, len(rows) * replies, batch),
        batch=batch,
        shared=f"{training.per_device_train_batch_size} a device x {machine.processes} processes "
        f"x {accumulated} accumulated",
        median=int(np.median(lengths)),
        percentile_95=int(np.percentile(lengths, 95)),
        longest=longest,
        longest_id=longest_id,
        parameters=sum(counts),
        trained=counts[1],
        memory=_memory(counts, config.get_text_config(), training, model, machine, longest + reply),
        problems=tuple(problems),
    )


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    """Add what training would refuse to ``problems``; all of it is a ValueError."""
    try:
        yield
    except ValueError as error:
        problems.append(str(error))


def _unrewarded(
    data: DataArguments, training: Arguments, model: ModelArguments, rows: datasets.Dataset
) -> list[str]:
    """What training by rewards would refuse."""
    problems: list[str] = []
    if isinstance(training, GrpoArguments):
        with _collected(problems):
            refuse_unusable(data, training, model)
        with _collected(problems):
            rules = Rules(data.box_format, training.counts, training.areas)
            refuse_unrewarded(rows, training.weights, rules)
    return problems


def _replies(training: Arguments) -> tuple[int, int]:
    """How many replies a row gets, and how many tokens come on top of it: none but with rewards."""
    if isinstance(training, GrpoArguments):
        return training.num_generations or 1, training.max_completion_length or 0
    return 1, 0


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


def _lengths(rows: datasets.Dataset, processor: Any) -> tuple[np.ndarray, int, str]:
    """Every row's tokens, nearly; and the longest row's, exactly, with its id."""
    lengths = token_lengths(rows, processor)
    first = np.argsort(-lengths, kind="stable")[:20]
    exact = {int(i): token_count(rows[int(i)], processor) for i in first}
    longest = max(exact, key=exact.__getitem__)
    return lengths, exact[longest], rows.select_columns(["id"])[longest]["id"]


def _on_meta(
    config: Any, training: Arguments, model: ModelArguments, tasks: list[str]
) -> torch.nn.Module:
    """The model with its adapter, or with all but its trained parts frozen; weightless."""
    with torch.device("meta"):
        built: Any = AutoModelForImageTextToText.from_config(
            config, trust_remote_code=training.trust_remote_code
        )
        if adapter := _adapter(training, model, tasks):
            return get_peft_model(built, adapter)
    if training.train:
        freeze_all_but(training.train, built)
    return built


def _adapter(training: Arguments, model: ModelArguments, tasks: list[str]) -> Any:
    """The configuration of the adapter, new or to go on with."""
    if isinstance(training, GrpoArguments) and training.adapter is not None:
        return PeftConfig.from_pretrained(training.adapter)
    return peft_config(model, tasks)


def _parameters(model: torch.nn.Module) -> tuple[int, int]:
    """How many are frozen, and how many are trained."""
    counts = {False: 0, True: 0}
    for parameter in model.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    return counts[False], counts[True]


def _memory(
    counts: tuple[int, int],
    text_config: Any,
    training: Arguments,
    model: ModelArguments,
    machine: Machine,
    longest: int,
) -> Memory:
    """An estimate for batches of the longest row.

    Frozen weights have the model's type or 4 or 8 bits; adapters are float32, trained weights of
    the model itself keep its type; Adam holds two values of that type for each, or of one byte.
    A checkpointed layer keeps its input; one layer at a time is computed again.
    """
    frozen, trained = counts
    own = _BYTES.get(str(model.dtype).removeprefix("torch."), 4)
    stored = 0.5 if model.load_in_4bit else 1 if model.load_in_8bit else own
    adapted = model.has_adapter or getattr(training, "adapter", None) is not None
    kept = 4 if adapted else own
    state = 1 if "8bit" in str(training.optim) else kept
    layers = text_config.num_hidden_layers
    checkpointed = layers + _VALUES_A_LAYER
    values = checkpointed if training.gradient_checkpointing else layers * _VALUES_A_LAYER
    width = 2 if training.bf16 or training.fp16 else 4
    tokens = training.per_device_train_batch_size * longest
    shared = machine.processes if machine.shares_states else 1
    return Memory(
        weights=(frozen * stored + trained * kept)
        / (machine.processes if machine.shares_weights else 1)
        / _GB,
        gradients=trained * kept / shared / _GB,
        optimizer=trained * state * _ADAM_STATES / shared / _GB,
        activations=tokens * text_config.hidden_size * width * values / _GB,
    )


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
            f"{memory.activations:.1f} for a batch of the longest row",
            *(f"PROBLEM     {problem}" for problem in plan.problems),
            *([] if plan.problems else ["nothing found that would fail"]),
        ]
    )
