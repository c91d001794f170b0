"""Supervised fine-tuning on the conversation rows: full, of some parts, LoRA or MoE-LoRA.

    accelerate launch --quiet -m rs_gpt4v_training.sft RECIPE.yaml [--flag value ...]

A recipe holds fields of `rs_gpt4v_training.arguments`; flags override it.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import Any, NamedTuple, TypeVar, cast, get_args

import torch
import torch.distributed as dist
import transformers
from jinja2 import TemplateError
from transformers import AutoConfig, AutoProcessor
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v.conversation import Task
from rs_gpt4v.files import refuse_overwriting
from rs_gpt4v.model_families import (
    box_format,
    ignore_newer_names,
    image_options,
    loading,
    pad_to_square,
    record_box_format,
)
from rs_gpt4v_training.activations import score_answers_alone
from rs_gpt4v_training.adapters import peft_config, quantization_config, train_in_float32
from rs_gpt4v_training.arguments import (
    Arguments,
    DataArguments,
    ModelArguments,
    Options,
    TrainingArguments,
    parse,
)
from rs_gpt4v_training.attention import BY_ROW
from rs_gpt4v_training.card import next_steps, write_card
from rs_gpt4v_training.chat_template import use_trainable_template
from rs_gpt4v_training.collators import (
    PaddingFree,
    PrefixSuffixCollator,
    Uncut,
    faster,
    refuse_padding_free,
)
from rs_gpt4v_training.fsdp import HeadGradients, WithoutQuantisation
from rs_gpt4v_training.gradients import freeze_without_gradient
from rs_gpt4v_training.moe_lora import RouterStatistics, TaskCollator, plot_router_statistics
from rs_gpt4v_training.parts import FrozenVision, freeze_all_but, set_projector_learning_rate
from rs_gpt4v_training.pixels import with_tables
from rs_gpt4v_training.resume import checkpoint_to_resume, refuse_other_files
from rs_gpt4v_training.rows import refuse_other_rows, rows_to_train_on
from rs_gpt4v_training.sampling import length_sampler

Made = TypeVar("Made", bound="CommonTrainer")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raise the error of a row itself.

    `datasets` 5.2 decodes images in threads, and an error there ends in a RuntimeError about their
    event loop, which has the row's error as its context.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__context__, ValueError):
            raise error.__context__ from None
        raise


class CommonTrainer(transformers.Trainer):
    """What every method's trainer has: a rate of the projector's own, and whole models resumed."""

    args: Any
    conversations: Any = None
    """The rows to train on, as they were read."""

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The optimizer, with groups of their own for the projector where its rate is given."""
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if is_new and self.args.projector_learning_rate is not None:
            trained: Any = model or self.model
            set_projector_learning_rate(self.args.projector_learning_rate, optimizer, trained)
        return optimizer

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # A checkpoint has the names of old releases. Of transformers' loaders from_pretrained alone
        # reads those; the trainer's own (5.23) misses every weight and warns only.
        loaded: Any = model or self.model
        if self.is_deepspeed_enabled or self.is_fsdp_enabled or hasattr(loaded, "peft_config"):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved = type(loaded).from_pretrained(resume_from_checkpoint, dtype=loaded.dtype)
        loaded.load_state_dict(saved.state_dict())

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # transformers (5.23) takes a step before it asks whether the run has ended: resumed after
        # its last step, a run would have one more.
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save what was trained, but not the copy of an adapter that TRL compares it with."""
        super().save_model(output_dir, _internal_call)
        adapters = getattr(self.model, "peft_config", {})
        if not _internal_call and self.args.should_save and "ref" in adapters:
            rmtree(Path(output_dir or self.args.output_dir) / "ref", ignore_errors=True)


class Trainer(CommonTrainer, SFTTrainer):
    """`trl.SFTTrainer` with what is common, and batches of rows of similar length."""

    args: TrainingArguments

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if not self.args.group_by_length:
            return super()._get_train_sampler(train_dataset)
        micro_batches = self.args.world_size * self.args.gradient_accumulation_steps
        batch = self.args.train_batch_size * micro_batches  # LLaVA's too: all of a step
        rows: Any = train_dataset or self.train_dataset
        return length_sampler(rows, batch, self.args.seed)


@plain_errors()
def train(data: DataArguments, training: TrainingArguments, model: ModelArguments) -> Trainer:
    """Train as the arguments say, and save the model (or adapter) with its processor."""
    return run_training(make_trainer, data, training, model)


def run_training(
    make: Callable[[DataArguments, Options, ModelArguments], Made],
    data: DataArguments,
    training: Options,
    model: ModelArguments,
) -> Made:
    """Train with the trainer that ``make`` gives, from the last checkpoint if it shall resume."""
    refuse_overwriting([Path(str(training.output_dir))], [Path(str(model.model_name_or_path))])
    checkpoint = _checkpoint(training)
    trainer = make(data, training, model)
    trainer.add_callback(HeadGradients())
    trainer.add_callback(WithoutQuantisation())
    trainer.add_callback(FrozenVision())
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    trainer.save_model()
    trainer.save_state()
    if trainer.is_world_process_zero():
        write_card(trainer, data, training, model, trainer.conversations)
        sys.stdout.write(next_steps(data, training, model))
    if model.use_moe_lora and draws(trainer):
        statistics = router_statistics(training)
        plot_router_statistics(statistics, statistics.with_suffix(".png"))
    return trainer


def draws(trainer: CommonTrainer) -> bool:
    """Whether this process draws pictures of the run: one does, if matplotlib is there."""
    return trainer.is_world_process_zero() and find_spec("matplotlib") is not None


def _checkpoint(training: Arguments) -> Path | None:
    """Where to go on from, the same for all processes; None: at the beginning."""
    if training.resume_from_checkpoint:
        given = Path(training.resume_from_checkpoint)
        refuse_other_files(given)
        return given
    folder, processes = Path(str(training.output_dir)), training.world_size
    refuse_other_files(folder, "checkpoint-*/**/*")
    return checkpoint_to_resume(folder, resume=training.resume, processes=processes)


@plain_errors()
def make_trainer(
    data: DataArguments, training: TrainingArguments, model: ModelArguments
) -> Trainer:
    """The trainer with its model, rows and collator, ready to train."""
    max_length, padding_free = training.max_length, training.padding_free
    score_answers_alone()
    ready = prepare(data, training, model)
    if padding_free:
        refuse_padding_free(ready.family)
        # The language model's alone: not all vision towers can have it.
        model.attn_implementation = model.attn_implementation or cast(
            "Any", {"text_config": BY_ROW}
        )
        training.padding_free = False  # TRL has it for texts alone
    # None is cut, and a truncating collator leaves its limit in the saved tokenizer.
    training.max_length = None
    trainer = Trainer(
        model=str(model.model_name_or_path),
        args=with_dtype(training, model),
        train_dataset=ready.rows["train"],
        eval_dataset=ready.rows.get("validation"),
        processing_class=ready.processor,
        data_collator=_collator(ready.processor, ready.family, training),
        peft_config=peft_config(model, ready.tasks),
        quantization_config=quantization_config(model),
    )
    trainer.conversations = ready.rows["train"]
    set_trained(trainer, model, ready)
    trainer.data_collator = faster(trainer.data_collator)
    if data.streaming and max_length is not None:
        trainer.data_collator = Uncut(trainer.data_collator, max_length)
    if padding_free:
        trainer.data_collator = PaddingFree(trainer.data_collator)
    if model.use_moe_lora:
        show_tasks_to_routers(trainer, ready.tasks)
    return trainer


class Ready(NamedTuple):
    """What a trainer is made of, whatever its method.

    Attributes:
        config: Of the model.
        processor: With a template whose answers are marked, and the box format.
        rows: Of each split.
        box_format: The codec that writes boxes.
        tasks: Those that a router may meet.
    """

    config: Any
    processor: Any
    rows: dict[str, Any]
    box_format: str
    tasks: list[str]

    @property
    def family(self) -> str:
        """Of the model."""
        return self.config.model_type


def prepare(
    data: DataArguments,
    training: Arguments,
    model: ModelArguments,
    adapter: str | None = None,
    load: Callable[..., dict[str, Any]] = rows_to_train_on,
) -> Ready:
    """The processor, that of ``adapter`` if there is one, and the rows that ``load`` gives."""
    config = load_config(training, model)
    family = config.model_type
    processor = load_processor(family, training, model, adapter)
    use_trainable_template(processor, family, given=training.chat_template_path is not None)
    training.chat_template_path = None  # TRL would read it again, without our marks
    data = with_box_format(data, family, processor)
    record_box_format(processor, data.box_format)
    rows = load(data, training, processor, training.max_length)
    refuse_other_rows(rows)
    return Ready(config, processor, rows, data.box_format, tasks_of_rows(rows, data, model))


def set_trained(trainer: CommonTrainer, model: ModelArguments, ready: Ready) -> None:
    """Freeze all that the recipe does not train, and train in float32 where bfloat16 is not.

    What gets no gradient is not trained either.
    """
    trained = cast("torch.nn.Module", trainer.model)
    is_packed = quantization_config(model) is not None and not trainer.args.bf16
    if trainer.args.fp16 or is_packed:  # the scaler of float16 training asks for float32
        train_in_float32(trained)
    if trainer.args.train:
        freeze_all_but(trainer.args.train, trained)
    collate = collator(ready.processor, ready.family, trainer.args)
    if model.use_moe_lora:
        collate = TaskCollator(collate, ready.tasks)
    freeze_without_gradient(trained, ready.config, trainer.args, model, ready.tasks, collate)


def load_config(training: Arguments, model: ModelArguments) -> Any:
    """The configuration of the checkpoint."""
    name = str(model.model_name_or_path)
    with loading(name):
        return AutoConfig.from_pretrained(
            name,
            revision=model.model_revision,
            trust_remote_code=training.trust_remote_code,
        )


def load_processor(
    family: str,
    training: Arguments,
    model: ModelArguments,
    adapter: str | None = None,
) -> Any:
    """The processor of the checkpoint, with the recipe's chat template if it names one."""
    processor: Any = AutoProcessor.from_pretrained(
        adapter or str(model.model_name_or_path),
        revision=None if adapter else model.model_revision,
        trust_remote_code=training.trust_remote_code,
        **image_options(family),
    )
    if model.image_aspect == "pad":
        pad_to_square(processor, family)
    if training.chat_template_path is not None:
        processor.chat_template = Path(training.chat_template_path).read_text(encoding="utf-8")
    return processor


def with_box_format(data: DataArguments, family: str, processor: Any) -> DataArguments:
    """``data`` with "auto" replaced by the model's own box format.

    Raises:
        ValueError: The rows are built already, and nothing says in which format.
        UnknownFamilyError: None is known for the family.
    """
    if data.box_format != "auto":
        return data
    if data.repository is not None:
        raise ValueError(
            "box_format: name the one that the rows of the repository were exported with (llava, "
            "unless `rs-gpt4v export` was given --box-format)"
        )
    return replace(data, box_format=box_format(family, processor))


def tasks_of_rows(rows: dict[str, Any], data: DataArguments, model: ModelArguments) -> list[str]:
    """The tasks that a router may meet; with routing "task", those it is trained on.

    Raises:
        ValueError: A task is none of ours, or is validation's alone and its router learns nothing.
    """
    known = list(get_args(Task))
    if data.streaming or not model.use_moe_lora:
        return known
    of_split = {split: set(part.unique("task")) for split, part in rows.items()}
    if odd := [task for tasks in of_split.values() for task in tasks if task not in known]:
        raise ValueError(
            f"rows of task {odd[0]!r}: MoE-LoRA tells what its routers do with each task. Give the "
            f"rows a column task with one of {', '.join(known)}"
        )
    if model.routing != "task":
        return known
    if unknown := sorted(of_split.get("validation", set()) - of_split["train"]):
        raise ValueError(
            f"validation has rows of task {', '.join(unknown)}, which no training row has: with "
            "routing: task nothing is learned for them. Leave eval_strategy out, or train on them"
        )
    return sorted(of_split["train"])


def _collator(processor: Any, family: str, training: TrainingArguments) -> Any:
    """TRL's own (None), but for PaliGemma."""
    if family != "paligemma":
        return None
    training.assistant_only_loss = False  # no marks are asked for: the collator labels the answers
    return PrefixSuffixCollator(with_tables(processor))


def collator(processor: Any, family: str, training: Arguments) -> Any:
    """What makes the batches, tasks aside."""
    trl = DataCollatorForVisionLanguageModeling(
        processor,
        assistant_only_loss=getattr(training, "assistant_only_loss", True),
        pad_to_multiple_of=getattr(training, "pad_to_multiple_of", None),
    )
    return _collator(processor, family, cast("Any", training)) or faster(trl)


def with_dtype(training: Options, model: ModelArguments) -> Options:
    """``training`` with how TRL shall load the model."""
    given: Any = training.model_init_kwargs or {}
    training.model_init_kwargs = {
        "revision": model.model_revision,
        "dtype": model.dtype,
        "attn_implementation": model.attn_implementation,
        **given,
    }
    return training


def show_tasks_to_routers(
    trainer: CommonTrainer, tasks: list[str], collator: type[TaskCollator] = TaskCollator
) -> None:
    """Bring each row's task to the routers by ``collator``, and log what they do with it."""
    trainer.args.remove_unused_columns = False  # TRL would drop the column
    trainer.data_collator = collator(trainer.data_collator, tasks)
    trainer.add_callback(RouterStatistics(router_statistics(trainer.args), tasks))


def router_statistics(training: transformers.TrainingArguments) -> Path:
    """Where what the routers do is logged."""
    return Path(str(training.output_dir)) / "router_statistics.jsonl"


def main(argv: list[str] | None = None) -> int:
    """Run ``argv`` (default: the process arguments); return the exit status."""
    train(*parse(sys.argv[1:] if argv is None else argv))
    return 0


def run(entry: Callable[[], int] | None = None) -> int:
    """``entry`` or `main`: an expected error is one line, all with ``RS_GPT4V_TRACEBACK=1``."""
    expected = (OSError, ValueError, ImportError, TemplateError, torch.OutOfMemoryError)
    ignore_newer_names()
    try:
        (entry or main)()
    except expected as error:
        if os.environ.get("RS_GPT4V_TRACEBACK"):
            raise
        sys.stderr.write(f"Error: {_one_line(error)}\n")
        return 1
    leave_process_group()
    return 0


def leave_process_group() -> None:
    """End the group of processes, if there is one, and its threads.

    A model that waits for the garbage collector holds the group. Threads that outlive the
    interpreter abort the process: "terminate called without an active exception".
    """
    gc.collect()
    if dist.is_initialized():
        dist.destroy_process_group()


def _one_line(error: Exception) -> str:
    text = str(error).strip()
    if "\nTraceback " in text:  # of a worker that loads rows; its last line says what is wrong
        text = text.splitlines()[-1].partition(": ")[2]
    if isinstance(error, torch.OutOfMemoryError):
        text += " Take a smaller per_device_train_batch_size, or gradient_checkpointing: true."
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(run())
