"""Supervised fine-tuning on the conversation rows: full, or LoRA.

    accelerate launch -m rs_gpt4v_training.sft RECIPE.yaml [--flag value ...]

A recipe holds fields of `DataArguments`, `trl.SFTConfig` and `trl.ModelConfig`; flags override it.
"""

import logging
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import datasets
from transformers import AutoConfig, AutoProcessor
from trl import ModelConfig, SFTConfig, SFTTrainer, TrlParser, get_peft_config

from rs_gpt4v import NAME
from rs_gpt4v.families import box_format, image_options, record_box_format
from rs_gpt4v_training.chat_template import use_trainable_template
from rs_gpt4v_training.lengths import refuse_cut_rows
from rs_gpt4v_training.prefix_suffix import PrefixSuffixCollator

logger = logging.getLogger(__name__)

# `q_proj` alone would also match the vision tower, which stays frozen. Idefics3 and SmolVLM call
# their language model text_model.
LANGUAGE_MODEL_LINEARS = r".*(language_model|text_model)\..*\.(q|k|v|o|gate|up|down)_proj"


@dataclass
class DataArguments:
    """Which rows are trained on.

    Args:
        datasets: Configs of ``load_dataset("rs_gpt4v", ...)``, mixed in proportion to their size.
        data_dir: Data root; default ``$RS_GPT4V_DATA``.
        sample: Train on the embedded synthetic sample.
        protocol: "paper" or "release".
        on_missing: "raise", or "skip" records whose image or answer is missing.
        box_format: How boxes stand in the messages: a codec, or "auto" for that of the model's
            family.
        exclude_leaks: Leave out rows whose image is a test image of any release in the data root.
        max_rows: At most so many rows of each config, picked at random by ``seed``.
    """

    datasets: list[str] = field(default_factory=list)
    data_dir: str | None = None
    sample: bool = False
    protocol: str = "paper"
    on_missing: str = "raise"
    box_format: str = "auto"
    exclude_leaks: bool = False
    max_rows: int | None = None


@dataclass
class TrainingArguments(SFTConfig):
    """`trl.SFTConfig` with the defaults that conversations about images need.

    Answers alone are learned (TRL's default learns image tokens and prompts too), and nothing is
    cut at 1,024 tokens: LLaVA-1.5 alone has 576 for an image.
    """

    assistant_only_loss: bool = True
    max_length: int | None = 2048


def parse(argv: list[str]) -> tuple[DataArguments, TrainingArguments, ModelConfig]:
    """Arguments from a recipe (first, if it is no flag) and from flags, which win."""
    if argv and not argv[0].startswith("--"):
        argv = ["--config", *argv]
    kinds: Any = (DataArguments, TrainingArguments, ModelConfig)
    data, training, model, *_ = cast("Any", TrlParser(kinds).parse_args_and_config(args=argv))
    return data, training, model


def load_rows(data: DataArguments, split: str, seed: int) -> datasets.Dataset:
    """The rows of all configs in ``data``, one after the other.

    Raises:
        ValueError: No config is named, or none has the split.
    """
    if not data.datasets:
        raise ValueError("no data: name configs in the recipe, e.g. datasets: [vqa_lr, cap_ucm]")
    loaded = {name: _load_config(data, name) for name in data.datasets}
    without = [name for name, splits in loaded.items() if split not in splits]
    if len(without) == len(loaded):
        raise ValueError(f"none of {', '.join(loaded)} has a split {split!r}")
    if without:
        logger.warning("%s: no split %r, left out of it", ", ".join(without), split)
    parts = [splits[split] for splits in loaded.values() if split in splits]
    return datasets.concatenate_datasets([_at_most(data.max_rows, rows, seed) for rows in parts])


def _load_config(data: DataArguments, name: str) -> datasets.DatasetDict:
    return datasets.load_dataset(
        NAME,
        name,
        data_dir=data.data_dir,
        sample=data.sample,
        protocol=data.protocol,
        on_missing=data.on_missing,
        box_format=data.box_format,
        exclude_leaks=data.exclude_leaks,
    )


def _at_most(count: int | None, rows: datasets.Dataset, seed: int) -> datasets.Dataset:
    if count is None or len(rows) <= count:
        return rows
    return rows.shuffle(seed=seed).select(range(count))


def train(data: DataArguments, training: TrainingArguments, model: ModelConfig) -> SFTTrainer:
    """Train as the arguments say, and save the model (or adapter) with its processor."""
    source = str(model.model_name_or_path)
    family = AutoConfig.from_pretrained(source).model_type
    processor = _processor(source, family, training)
    if data.box_format == "auto":
        data = replace(data, box_format=box_format(family, processor))
    record_box_format(processor, data.box_format)
    splits = ["train"] if training.eval_strategy == "no" else ["train", "validation"]
    rows = {split: load_rows(data, split, training.seed) for split in splits}
    if training.max_length is not None:
        for part in rows.values():
            refuse_cut_rows(part, processor, training.max_length)
        # Nothing is left to cut, and a truncating collator leaves its limit in the saved tokenizer.
        training.max_length = None
    trainer = SFTTrainer(
        model=source,
        args=_with_dtype(training, model),
        train_dataset=rows["train"],
        eval_dataset=rows.get("validation"),
        processing_class=processor,
        data_collator=_collator(processor, family, training),
        peft_config=_peft_config(model),
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model()
    trainer.save_state()
    return trainer


def _processor(source: str, family: str, training: TrainingArguments) -> Any:
    processor = AutoProcessor.from_pretrained(source, **image_options(family))
    given = training.chat_template_path
    if given is not None:
        processor.chat_template = Path(given).read_text(encoding="utf-8")
        training.chat_template_path = None  # TRL would read it again, without our marks
    use_trainable_template(processor, family, given=given is not None)
    return processor


def _collator(processor: Any, family: str, training: TrainingArguments) -> Any:
    """TRL's own (None), but for PaliGemma."""
    if family != "paligemma":
        return None
    training.assistant_only_loss = False  # no marks are asked for: the collator labels the answers
    return PrefixSuffixCollator(processor)


def _with_dtype(training: TrainingArguments, model: ModelConfig) -> TrainingArguments:
    given: Any = training.model_init_kwargs or {}
    training.model_init_kwargs = {
        "dtype": model.dtype,
        "attn_implementation": model.attn_implementation,
        **given,
    }
    return training


def _peft_config(model: ModelConfig) -> Any:
    config: Any = get_peft_config(model)
    if config is not None and config.target_modules is None:
        config.target_modules = LANGUAGE_MODEL_LINEARS
    return config


def main(argv: list[str] | None = None) -> int:
    """Run ``argv`` (default: the process arguments); return the exit status."""
    train(*parse(sys.argv[1:] if argv is None else argv))
    return 0


if __name__ == "__main__":
    sys.exit(main())
