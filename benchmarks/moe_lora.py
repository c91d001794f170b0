"""A training step of MoE-LoRA beside PEFT's LoRA of the same total rank, and a loop over experts.

    OMP_NUM_THREADS=1 python benchmarks/moe_lora.py [--rounds 15] [--bfloat16]

Forward and backward of one adapted linear layer over 640 tokens, its base frozen and its input
asking for a gradient, as inside a model. All forms run in turn in one process; the table gives the
median over the rounds of each round's own ratio to LoRA, and LoRA's shortest step in CPU ms.
"""

import argparse
import copy
import statistics
import time
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from rs_gpt4v_training.moe_lora import MoeLoraConfig, auxiliary_loss

TOKENS, RANK, EXPERTS = 640, 128, 4
OURS = {
    "token": {"routing": "token"},
    "top-2": {"routing": "top_k", "load_balance_coef": 0.0, "z_loss_coef": 0.0},
    "top-2, losses": {"routing": "top_k"},
    "task": {"routing": "task", "tasks": ["vqa"]},
}


class Loop(nn.Module):
    """The experts one after the other, as the reference implementations have them."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        rank = RANK // EXPERTS
        self.base = base.requires_grad_(False)
        self.router = nn.Linear(base.in_features, EXPERTS, bias=False)
        self.a = nn.ModuleList(
            nn.Linear(base.in_features, rank, bias=False) for _ in range(EXPERTS)
        )
        self.b = nn.ModuleList(
            nn.Linear(rank, base.out_features, bias=False) for _ in range(EXPERTS)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """W x + s Σ g_i B_i A_i x."""
        gates = self.router(x).float().softmax(-1).to(x.dtype)
        result = self.base(x)
        for i, (a, b) in enumerate(zip(self.a, self.b, strict=True)):
            result = result + 2.0 * gates[..., i : i + 1] * b(a(x))
        return result


def forms(width: int, dtype: torch.dtype) -> dict[str, nn.Module]:
    """Every form around the same base layer."""
    base = nn.Sequential(nn.Linear(width, width, bias=False))
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["0"])
    built: dict[str, Any] = {"LoRA": get_peft_model(copy.deepcopy(base), lora)}
    for name, options in OURS.items():
        config: Any = MoeLoraConfig(r=RANK, num_experts=EXPERTS, target_modules=["0"], **options)
        built[name] = get_peft_model(copy.deepcopy(base), config)
    built["loop"] = Loop(copy.deepcopy(base)[0])
    return {name: model.to(dtype).train() for name, model in built.items()}


def step(model: Any, x: torch.Tensor, name: str) -> float:
    """CPU seconds of one forward and backward."""
    arguments = {"tasks": torch.tensor([0])} if name == "task" else {}
    start = time.process_time()
    loss = model(x, **arguments).sum()
    if name == "top-2, losses":
        loss = loss + auxiliary_loss(model)
    loss.backward()
    seconds = time.process_time() - start
    model.zero_grad()
    x.grad = None
    return seconds


def compare(width: int, dtype: torch.dtype, rounds: int) -> dict[str, list[float]]:
    """Seconds of each form in each round, after a first one to warm up."""
    models = forms(width, dtype)
    x = torch.randn(1, TOKENS, width, dtype=dtype, requires_grad=True)
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds + 1):
        for name, model in models.items():
            times[name].append(step(model, x, name))
    return {name: seconds[1:] for name, seconds in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--bfloat16", action="store_true", help="needs a CPU with such products")
    args = parser.parse_args()
    dtype = torch.bfloat16 if args.bfloat16 else torch.float32
    names = [*OURS, "loop"]
    print(f"{'width':>6} {'LoRA ms':>8} " + " ".join(f"{name:>14}" for name in names))
    for width in (1_024, 4_096):
        times = compare(width, dtype, args.rounds)
        lora = times["LoRA"]
        ratios = [
            statistics.median(t / u for t, u in zip(times[name], lora, strict=True))
            for name in names
        ]
        row = " ".join(f"{ratio:13.3f}x" for ratio in ratios)
        print(f"{width:6} {1_000 * min(lora):8.1f} {row}")


if __name__ == "__main__":
    main()
