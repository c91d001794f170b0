"""What only a GPU can tell: steps and memory of LLaVA-1.5-7B's adapters, and prediction.

    python benchmarks/gpu_check.py [--tiny]

Weights are random: speed and memory do not depend on them. The first table is a training step as
the recipes ``llava15_7b_lora`` and ``llava15_7b_moe_lora`` take it (bfloat16, gradient
checkpointing, rank 128, micro-batches of 16 rows of 576 image tokens and 64 of text, AdamW on the
adapter); the second one linear layer of width 4,096; the third answers questions on images, the
image read once against plain batches of 8. ``--tiny`` runs it all at a size for any machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from moe_lora import RANK, TOKENS, forms
from peft import LoraConfig, get_peft_model
from predict import ABOUT, QUESTIONS, questions
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_training.adapters import LANGUAGE_MODEL_LINEARS
from rs_gpt4v_training.moe_lora import MoeLoraConfig

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tiny_llava import build_tiny_llava

transformers.logging.disable_progress_bar()
datasets.disable_progress_bars()

os.environ.setdefault("TQDM_DISABLE", "1")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PAPER_STEPS, PAPER_BATCH = 14_666, 64


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="a small model, for any machine")
    given = parser.parse_args()
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else "the CPU"
    print(f"On {where}, torch {torch.__version__}\n")
    train_steps(tiny=given.tiny)
    layer_steps(256 if given.tiny else 4_096)
    answers(tiny=given.tiny)


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


def train_steps(*, tiny: bool) -> None:
    """A step of each adapter on a LLaVA of the 7B's shape."""
    rows, text = (2, 16) if tiny else (16, 64)
    print(
        f"| training, {rows} rows a micro-batch | s a micro-batch | ratio | peak GiB | "
        "hours of the paper's run on 4 such GPUs |\n| --- | ---: | ---: | ---: | ---: |"
    )
    common = {"r": RANK, "lora_alpha": 2 * RANK, "target_modules": LANGUAGE_MODEL_LINEARS}
    configs = {
        "LoRA": LoraConfig(**common),
        "MoE-LoRA, token": MoeLoraConfig(**common, num_experts=4, routing="token"),
        "MoE-LoRA, top-2": MoeLoraConfig(**common, num_experts=4, routing="top_k"),
    }
    first = 0.0
    for name, config in configs.items():
        each, peak = _train_step(config, rows, text, tiny=tiny)
        first = first or each
        hours = each * PAPER_STEPS * PAPER_BATCH / rows / 4 / 3_600
        print(f"| {name} | {each:.3f} | {each / first:.3f} | {peak:.1f} | {hours:.1f} |")
    print()


def _train_step(config: Any, rows: int, text: int, *, tiny: bool) -> tuple[float, float]:
    """Median seconds of a step, and the peak of memory in GiB."""
    if DEVICE == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    model: Any = get_peft_model(llava(tiny=tiny), config)
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    batch = make_batch(model.config, rows, text)

    def step() -> None:
        with torch.autocast(DEVICE, torch.bfloat16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    taken = [seconds(step) for _ in range(3 if tiny else 6)][1:]
    peak = torch.cuda.max_memory_allocated() / 2**30 if DEVICE == "cuda" else 0.0
    return statistics.median(taken), peak


def llava(*, tiny: bool) -> LlavaForConditionalGeneration:
    """LLaVA-1.5-7B's shape, or a small one, with random weights in bfloat16."""
    if tiny:
        shape = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
        vision = CLIPVisionConfig(**shape, num_hidden_layers=2, image_size=56, patch_size=14)
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
    config = LlavaConfig(
        vision_config=vision,
        text_config=words,
        image_token_index=999 if tiny else 32_000,
        image_seq_length=(vision.image_size // 14) ** 2,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(DEVICE):
            return LlavaForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)


def make_batch(config: Any, rows: int, text: int) -> dict[str, torch.Tensor]:
    """Rows of an image and words, of which the words are learned."""
    side = config.vision_config.image_size
    image = torch.full((rows, config.image_seq_length), config.image_token_index)
    words = torch.randint(5, 900, (rows, text))
    ids = torch.cat([image, words], 1)
    labels = ids.masked_fill(ids == config.image_token_index, -100)
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": labels,
        "pixel_values": torch.randn(rows, 3, side, side, dtype=torch.bfloat16),
    }
    return {name: values.to(DEVICE) for name, values in batch.items()}


def layer_steps(width: int) -> None:
    """Forward and backward of one adapted layer, the forms in turn."""
    models = {name: model.to(DEVICE) for name, model in forms(width, torch.bfloat16).items()}
    x = torch.randn(16, TOKENS, width, dtype=torch.bfloat16, device=DEVICE, requires_grad=True)
    taken: dict[str, list[float]] = {name: [] for name in models}
    names = [name for name in models if name != "top-2, losses"]  # the loss is of the whole model
    for _ in range(21):
        for name in names:
            more = {"tasks": torch.zeros(16, dtype=torch.long)} if name == "task" else {}
            taken[name].append(seconds(lambda: models[name](x, **more).sum().backward()))  # noqa: B023
    print(f"| one layer, width {width} | " + " | ".join(n for n in names) + " |")
    print("| --- |" + " ---: |" * len(names))
    ratios = [
        statistics.median(t / u for t, u in zip(taken[n][1:], taken["LoRA"][1:], strict=True))
        for n in names
    ]
    print("| time / LoRA's | " + " | ".join(f"{ratio:.3f}" for ratio in ratios) + " |\n")


def answers(*, tiny: bool) -> None:
    """Rows answered a second with the image read once, against plain batches of 8."""
    size = {"image_size": 84, "hidden_size": 64, "layers": 2}
    if not tiny:
        size = {"image_size": 336, "hidden_size": 2_048, "layers": 16}
    print("| prediction | plain batches of 8, ms an answer | image read once | ratio | replies |")
    print("| --- | ---: | ---: | ---: | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_tiny_llava(folder / "model", QUESTIONS, **size)
        predictor = Predictor(str(folder / "model"), max_new_tokens=4)
        predictor.why_not_shared = lambda *_: None  # pyright: ignore[reportAttributeAccessIssue]
        for images, on_each in ((4, 8), (2, 100)):
            rows = questions(folder, images, on_each)
            plain, shared = (_answer(predictor, rows, folder, share) for share in (False, True))
            same = sum(a == b for a, b in zip(plain[1], shared[1], strict=True)) / len(rows)
            label = f"{on_each} questions an image"
            print(
                f"| {label} | {plain[0]:.1f} | {shared[0]:.1f} | {plain[0] / shared[0]:.1f} | "
                f"{same:.0%} the same |"
            )


def _answer(predictor: Predictor, rows: Any, folder: Path, share: bool) -> tuple[float, list[str]]:
    out = folder / "replies.jsonl"
    times = []
    for _ in range(3):
        out.unlink(missing_ok=True)
        size = 32 if share else 8
        about = describe(rows, **ABOUT)
        times.append(
            seconds(lambda: predict(predictor, rows, about, out, size, share_images=share))  # noqa: B023
        )
    replies = [line["prediction"] for line in read_predictions(out)]
    return 1_000 * min(times) / len(rows), replies


if __name__ == "__main__":
    main()
