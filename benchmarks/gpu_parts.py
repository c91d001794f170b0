"""The parts of `gpu_check.py`, each a process: `python benchmarks/gpu_parts.py PART [--toy]`.

A part prints a JSON line for each row that it has measured, or measured further.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import collator
import datasets
import torch
import transformers
from moe_lora import RANK, TOKENS, forms
from predict import ABOUT, QUESTIONS, questions
from tiny_llava import build_tiny_llava
from transformers import (
    AutoProcessor,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    TrainerCallback,
)
from transformers.utils import is_flash_attn_2_available

from rs_gpt4v.conversation import Task
from rs_gpt4v_evaluation.predict import Predictor, describe, predict, predictor
from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_training.activations import step_bytes
from rs_gpt4v_training.adapters import is_quantised, peft_config, train_in_float32
from rs_gpt4v_training.arguments import ModelArguments, TrainingArguments, parse
from rs_gpt4v_training.dry_run import Machine, static_memory
from rs_gpt4v_training.gradients import on_meta
from rs_gpt4v_training.parts import part as part_of
from rs_gpt4v_training.recipe import recipe_path
from rs_gpt4v_training.sft import Trainer

Say = Callable[[str, dict[str, Any]], None]
"""``say(row, values)`` adds to a row of the part's table."""

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float32
GIB = 2**30
PAPER_STEPS, PAPER_BATCH = 14_666, 64
STEPS = 8

DATA_SHEETS = {
    "A100": 312,
    "A800": 312,
    "H100 NVL": 835,
    "H100 PCIe": 756,
    "H100": 989,
    "H200": 989,
    "H800": 989,
    "L40S": 362,
}
"""TFLOP/s of dense bfloat16 products, by a part of the card's name."""


def data_sheet() -> float | None:
    """TFLOP/s of this card as its maker gives them; None if it is not in the list."""
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else ""
    return next((float(peak) for card, peak in DATA_SHEETS.items() if card in name), None)


def seconds(action: Callable[[], Any]) -> float:
    """Wall seconds of ``action``, the device's work included."""
    _wait()
    start = time.perf_counter()
    action()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def card(say: Say, *, toy: bool) -> None:
    """Its name, and how fast it multiplies."""
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "the CPU"
    values: dict[str, Any] = {n: version(n) for n in ("torch", "transformers", "peft")}
    if DEVICE == "cuda":
        values["memory, GiB"] = torch.cuda.get_device_properties(0).total_memory / GIB
    if peak := data_sheet():
        values["data sheet, TFLOP/s"] = peak
    else:
        values["note"] = "its peak is not in our list: no MFU"
    say(name, values)
    size = 512 if toy else 8_192
    a, b = (torch.randn(size, size, dtype=DTYPE, device=DEVICE) for _ in range(2))
    fastest = min(seconds(lambda: a @ b) for _ in range(10))
    say(name, {"bf16 product, TFLOP/s": 2 * size**3 / fastest / 1e12})


class Clock(TrainerCallback):
    """Says the median seconds of a step, and the peak of memory, after each but the first one."""

    def __init__(self, say: Callable[[float, dict[str, float]], None]) -> None:
        self.say = say
        self.ends: list[float] = []

    def on_train_begin(self, *_args: Any, **_kwargs: Any) -> None:
        """The model is there; what it took to make it does not count."""
        if DEVICE == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
        """From the end of one step to that of the next."""
        _wait()
        self.ends.append(time.perf_counter())
        if len(self.ends) > 1:
            pairs = zip(self.ends, self.ends[1:], strict=False)
            self.say(statistics.median(end - start for start, end in pairs), _memory())


def _memory() -> dict[str, float]:
    """The most that tensors took, and the most that torch held."""
    if DEVICE != "cuda":
        return {}
    most, held = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    return {"peak, GiB": most / GIB, "reserved, GiB": held / GIB}


def train(say: Say, *, toy: bool, row: str, recipe: str, options: tuple[str, ...] = ()) -> None:
    """Steps of a recipe by our trainer, on one micro-batch again and again; then the dry run's."""
    if "--load_in_4bit" in options and find_spec("bitsandbytes") is None:
        say(row, {"note": "bitsandbytes is not installed"})
        return
    rows, text = (2, 16) if toy else (16, 64)
    with tempfile.TemporaryDirectory() as folder:
        data, training, model = parse([*_flags(recipe, folder, rows), *options])
        del data
        tasks = list(get_args(Task))
        built = on_meta(llava_config(toy=toy), training, model, tasks)
        batch = make_batch(built.config, rows, text)
        work = model_flops(built, batch)
        tokens = batch["input_ids"].numel()

        def step(took: float, memory: dict[str, float]) -> None:
            say(row, memory | _speed(took, rows, tokens, work))

        adapter = peft_config(model, tasks)
        # Of a configuration of its own: a router leaves its mark on that of its base.
        _steps(llava(llava_config(toy=toy)), training, model, adapter, batch, folder, Clock(step))
    peak = _memory().get("peak, GiB")
    counted = counted_gib(built, batch, training, model)
    say(row, {"counted, GiB": counted} | ({"counted / peak": counted / peak} if peak else {}))


def _speed(took: float, rows: int, tokens: int, work: float) -> dict[str, float]:
    values = {
        "s a micro-batch": took,
        "tokens/s": tokens / took,
        "TFLOP/s": work / took / 1e12,
        "hours of the paper's run on 4": took * PAPER_STEPS * PAPER_BATCH / rows / 4 / 3_600,
    }
    if peak := data_sheet():
        values["MFU"] = values["TFLOP/s"] / peak
    return values


def _flags(recipe: str, folder: str, rows: int) -> list[str]:
    """The recipe on one device, with one micro-batch a step."""
    given = {
        "output_dir": folder,
        "per_device_train_batch_size": rows,
        "global_batch_size": rows,
        "max_steps": STEPS,
        "save_strategy": "no",
        "dataloader_num_workers": 0,
        "disable_tqdm": True,
    }
    if DEVICE == "cpu":
        given |= {"use_cpu": True, "bf16": False, "dtype": "float32"}
    flags = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
    return [str(recipe_path(recipe)), *flags]


def _steps(
    base: torch.nn.Module,
    training: TrainingArguments,
    model: ModelArguments,
    adapter: Any,
    batch: dict[str, torch.Tensor],
    folder: str,
    clock: Clock,
) -> None:
    if model.load_in_4bit:
        quantise(base, model)
    build_tiny_llava(Path(folder, "processor"), QUESTIONS, layers=1, hidden_size=32)
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "yes"}]
    rows = [{"messages": turns, "images": []}] * (training.per_device_train_batch_size * STEPS)
    trainer = Trainer(
        model=base,
        args=training,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=AutoProcessor.from_pretrained(Path(folder, "processor")),
        data_collator=lambda _: dict(batch),  # the rows themselves are for TRL to look at
        peft_config=adapter,
        callbacks=[clock],
    )
    if model.load_in_4bit and not training.bf16:
        train_in_float32(trainer.model)
    trainer.train()


def llava_config(*, toy: bool, tokenizer: Any = None) -> LlavaConfig:
    """LLaVA-1.5-7B's shape, or a small one; with the vocabulary of ``tokenizer`` if it is given."""
    if toy:
        shape = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
        vision = CLIPVisionConfig(**shape, num_hidden_layers=2, image_size=84, patch_size=14)
        words = LlamaConfig(**shape, num_hidden_layers=2, vocab_size=1_000)
    else:
        vision = CLIPVisionConfig(
            hidden_size=1_024,
            intermediate_size=4_096,
            num_hidden_layers=24,
            num_attention_heads=16,
            image_size=336,
            patch_size=14,
            projection_dim=768,
        )
        words = LlamaConfig(vocab_size=32_064)  # the defaults are those of the 7B
    image_token = words.vocab_size - 1
    if tokenizer is not None:
        words.vocab_size = len(tokenizer)
        image_token = tokenizer.convert_tokens_to_ids("<image>")
    return LlavaConfig(
        vision_config=vision,
        text_config=words,
        image_token_index=image_token,
        image_seq_length=(vision.image_size // 14) ** 2,
    )


def llava(config: LlavaConfig, device: str = DEVICE) -> LlavaForConditionalGeneration:
    """A model with random values, made where it stays; in bfloat16 but on a CPU."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if device == "cpu" else torch.bfloat16)
    try:
        with torch.device(device):
            return LlavaForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)


def make_batch(config: Any, rows: int, text: int) -> dict[str, torch.Tensor]:
    """Rows of an image and words, of which the words are learned; on the CPU, as collators do."""
    side = config.vision_config.image_size
    image = torch.full((rows, config.image_seq_length), config.image_token_index)
    words = torch.randint(5, 900, (rows, text))
    ids = torch.cat([image, words], 1)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": ids.masked_fill(ids == config.image_token_index, -100),
        "pixel_values": torch.randn(rows, 3, side, side),
    }


def model_flops(model: Any, batch: dict[str, torch.Tensor]) -> float:
    """Operations of a step that the method needs; what checkpointing computes again is no progress.

    2 for each weight and token forward, 2 backward to the inputs, 2 more for a trained weight. The
    vision tower has no way back, the head reads only what is learned, and attention between words
    is 12 for each unit and pair of tokens, of which causality leaves a half.
    """
    rows, length = batch["input_ids"].shape
    images = int((batch["input_ids"] == model.config.image_token_index).sum())
    learned = int((batch["labels"] != -100).sum())
    total = 0.0
    for name, weight in model.named_parameters():
        if weight.dim() < 2 or "embed" in name or "original_module" in name:
            continue
        kind = part_of(name)
        tokens = {"vision": images, "projector": images, "language": rows * length}[kind]
        tokens = learned if "lm_head" in name else tokens
        each = 2 if kind == "vision" else 6 if weight.requires_grad else 4
        total += each * weight.numel() * tokens
    words = model.config.text_config
    return total + 6 * rows * length**2 * words.hidden_size * words.num_hidden_layers


def counted_gib(
    built: Any, batch: dict[str, Any], training: Any, model: ModelArguments | None = None
) -> float:
    """What the dry run counts; ``built``, on the meta device, is of no use afterwards."""
    static = static_memory(built, training, model or ModelArguments(), Machine())
    return sum(static) + step_bytes(built, batch, training) / GIB


def quantise(model: torch.nn.Module, options: ModelArguments) -> None:
    """Give the language model's linear layers four bits, one after the other."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    kind: dict[str, Any] = {
        "quant_type": options.bnb_4bit_quant_type,
        "compress_statistics": options.use_bnb_nested_quant,
    }
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and is_quantised(name):
            size = (module.in_features, module.out_features)
            layer = Linear4bit(*size, bias=False, compute_dtype=DTYPE, device="meta", **kind)
            layer.weight = Params4bit(module.weight.data, requires_grad=False, **kind).to(DEVICE)
            model.set_submodule(name, layer)
    model.is_loaded_in_4bit = True  # for PEFT and TRL


def prediction(say: Say, *, toy: bool) -> None:
    """Rows answered with the image read once, against plain batches of 8."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = 84 if toy else 336
        build_tiny_llava(folder / "tiny", QUESTIONS, image_size=size, layers=1, hidden_size=32)
        tokenizer = AutoProcessor.from_pretrained(folder / "tiny").tokenizer
        model: Any = llava(llava_config(toy=toy, tokenizer=tokenizer)).eval()
        names = ("bos_token_id", "eos_token_id", "pad_token_id")
        model.generation_config = GenerationConfig(**{n: getattr(tokenizer, n) for n in names})
        with mock.patch.object(predictor, "_load", return_value=model):
            asker = Predictor(str(folder / "tiny"), max_new_tokens=4)
        asker.why_not_shared = lambda *_: None  # it would be tried out once a run
        for images, on_each in ((2, 3),) if toy else ((4, 8), (2, 100)):
            rows = questions(folder, images, on_each)
            plain, replies = _answer(asker, rows, folder, share=False)
            shared, others = _answer(asker, rows, folder, share=True)
            same = sum(a == b for a, b in zip(replies, others, strict=True)) / len(rows)
            values = {
                "ms an answer, plain batches of 8": 1_000 * plain / len(rows),
                "image read once": 1_000 * shared / len(rows),
                "times as fast": plain / shared,
                "replies the same": same,
            }
            say(f"{on_each} questions an image", values)


def _answer(asker: Predictor, rows: Any, folder: Path, *, share: bool) -> tuple[float, list[str]]:
    """The seconds of the faster of two runs, and the replies."""
    out = folder / "replies.jsonl"
    about = describe(rows, **ABOUT)
    times = []
    for _ in range(2):
        out.unlink(missing_ok=True)
        answer = partial(predict, asker, rows, about, out, 32 if share else 8, share_images=share)
        times.append(seconds(answer))
    return min(times), [line["prediction"] for line in read_predictions(out)]


def attention(say: Say, *, toy: bool) -> None:
    """Forward and backward of layers of the language model, by how they attend."""
    shape: dict[str, Any] = {"num_hidden_layers": 4, "vocab_size": 1_000}
    if toy:
        shape |= {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
    rows, longest = (2, 40) if toy else (16, 1_024)
    with torch.device(DEVICE):
        model = LlamaModel(LlamaConfig(**shape)).to(DTYPE).requires_grad_(False)
        inputs = torch.randn(rows, longest, model.config.hidden_size, dtype=DTYPE)
        whole = torch.ones(rows, longest, dtype=torch.long)
        lengths = torch.linspace(longest // 2, longest, rows).long()
        padded = (torch.arange(longest) < lengths[:, None]).long()
    inputs.requires_grad_(True)
    for name in ("sdpa", "eager", "flash_attention_2"):
        try:
            if name == "flash_attention_2" and not is_flash_attn_2_available():
                missing = "flash_attn is not installed" if DEVICE == "cuda" else "needs a GPU"
                say(name, {"note": missing})
                continue
            model.set_attn_implementation(name)
            for column, mask in (("rows of one length", whole), ("padded rows", padded)):
                say(name, {f"ms, {column}": 1_000 * _attend(model, inputs, mask)} | _memory())
        except (ImportError, RuntimeError, ValueError) as error:
            say(name, {"note": one_line(error)})


def _attend(model: Any, inputs: torch.Tensor, mask: torch.Tensor) -> float:
    """Median seconds; the peak of memory is then that of these steps."""
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def step() -> None:
        output = model(inputs_embeds=inputs, attention_mask=mask, use_cache=False)
        output.last_hidden_state.float().sum().backward()
        inputs.grad = None

    return statistics.median([seconds(step) for _ in range(6)][1:])


def layer(say: Say, *, toy: bool) -> None:
    """Forward and backward of one adapted layer, the forms in turn."""
    width = 256 if toy else 4_096
    models = {name: model.to(DEVICE) for name, model in forms(width, DTYPE).items()}
    del models["top-2, losses"]  # the loss is of the whole model
    rows = 2 if toy else 16
    x = torch.randn(rows, TOKENS, width, dtype=DTYPE, device=DEVICE, requires_grad=True)
    more = {"task": {"tasks": torch.zeros(rows, dtype=torch.long, device=DEVICE)}}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(4 if toy else 21):
        for name, model in models.items():
            call = partial(model, x, **more.get(name, {}))
            taken[name].append(seconds(lambda: call().sum().backward()))  # noqa: B023
    for name, times in taken.items():
        pairs = zip(times[1:], taken["LoRA"][1:], strict=True)
        ratio = statistics.median(mine / lora for mine, lora in pairs)
        say(f"{name}, width {width:,}, rank {RANK}", {"relative to LoRA": ratio})


def batches(say: Say, *, toy: bool) -> None:
    """What the collator takes of one core for a micro-batch, beside TRL's."""
    torch.set_num_threads(1)
    rows = 2 if toy else 16
    kinds = {kind: collator.KINDS[kind] for kind in ("512 px TIFF", "800 px JPEG")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        processor = collator.processor_of(folder / "tiny")
        for kind, (width, height, suffix) in kinds.items():
            paths = collator.write_images(folder, width, height, suffix, rows)
            read = collator.rows_on(paths, width, height)
            spent, same = collator.spent_on(read, processor, rounds=1 if toy else 3)
            values = {
                "s a micro-batch, one core": spent["ours"] * rows / 1_000,
                "of TRL's": spent["ours"] / spent["trl"],
                "note": "tensors equal TRL's" if same else "TENSORS DIFFER FROM TRL'S",
            }
            say(kind, values)


RECIPES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "lora": ("LoRA", "llava15_7b_lora", ()),
    "moe_lora_token": ("MoE-LoRA, token", "llava15_7b_moe_lora", ()),
    "moe_lora_top_k": ("MoE-LoRA, top_k", "llava15_7b_moe_lora", ("--routing", "top_k")),
    "qlora": (
        "QLoRA",
        "llava15_7b_lora",
        ("--load_in_4bit", "true", "--bnb_4bit_quant_type", "nf4", "--use_bnb_nested_quant"),
    ),
}
PARTS: dict[str, Any] = {
    "card": card,
    **{
        name: partial(train, row=row, recipe=recipe, options=options)
        for name, (row, recipe, options) in RECIPES.items()
    },
    "prediction": prediction,
    "attention": attention,
    "layer": layer,
    "collator": batches,
}


def one_line(error: BaseException) -> str:
    """The kind of an error, and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def main() -> int:
    """Run one part; its rows go to stdout, and all that libraries print to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--toy", action="store_true")
    given = parser.parse_args()
    out, sys.stdout = sys.stdout, sys.stderr
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()

    def write(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=out, flush=True)

    try:
        PARTS[given.part](
            lambda row, values: write({"row": row, "values": values}),
            toy=given.toy or DEVICE == "cpu",
        )
    except Exception as error:
        write({"reason": one_line(error)})
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
