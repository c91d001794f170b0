"""States under FSDP2, without processes: a weight stands in for one that is shared out."""

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from rs_gpt4v_training import fsdp


class Quantised(nn.Linear):
    """A layer whose state says how it was quantised, as that of bitsandbytes does."""

    quant_state = "nf4"

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight.absmax"] = torch.ones(2)
        destination[f"{prefix}weight.quant_state.bitsandbytes__nf4"] = torch.ones(2)


@pytest.mark.parametrize("is_shared_out", [True, False])
def test_how_weights_were_quantised_is_left_out_of_states_on_fsdp2_alone(
    monkeypatch: pytest.MonkeyPatch, is_shared_out: bool
) -> None:
    model = nn.ModuleDict({"base_layer": Quantised(2, 2), "lora_A": nn.Linear(2, 1, bias=False)})
    if is_shared_out:
        monkeypatch.setattr(fsdp, "DTensor", nn.Parameter)
    fsdp.WithoutQuantisation().on_train_begin(model=model)
    names = {"base_layer.weight", "base_layer.bias", "lora_A.weight"}
    quantisation = {
        "base_layer.weight.absmax",
        "base_layer.weight.quant_state.bitsandbytes__nf4",
    }
    assert model.state_dict().keys() == (names if is_shared_out else names | quantisation)
