"""Attention over a batch that is one long row: each of its rows by itself.

transformers' own "sdpa" would compute a batch of B such rows as one with a mask of blocks, which
takes B times as long. Flash attention does not, but needs a package that few machines have.
"""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

BY_ROW = "sdpa_by_row"
"""The name for ``attn_implementation``."""


def sdpa_by_row(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    position_ids: torch.Tensor | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """As `sdpa_attention_forward`, with a call for each row that ``position_ids`` begins anew.

    Args:
        module: The attention layer.
        query: Of shape (1, heads, tokens, width), as ``key`` and ``value``.
        key: The keys.
        value: The values.
        attention_mask: None, or attention is not by row.
        position_ids: Of shape (1, tokens).
        options: Of `sdpa_attention_forward`.
    """

    def attend(of: slice) -> tuple[torch.Tensor, None]:
        q, k, v = (tensor[:, :, of] for tensor in (query, key, value))
        return sdpa_attention_forward(module, q, k, v, attention_mask, **options)

    tokens = query.shape[2]
    if attention_mask is not None or position_ids is None or position_ids.shape != (1, tokens):
        return attend(slice(None))
    if key.shape[2] != tokens:  # with a cache, as in generation
        return attend(slice(None))
    starts = torch.nonzero(position_ids[0] == 0).flatten().tolist()
    rows = map(slice, starts, [*starts[1:], tokens])
    return torch.cat([attend(row)[0] for row in rows], dim=1), None


def _mask(
    batch_size: int, q_length: int, *args: Any, attention_mask: Any = None, **options: Any
) -> torch.Tensor | None:
    """None where attention is by row; a mask where some is padding, or a window is narrower."""
    if attention_mask is None and q_length <= (options.get("local_size") or q_length):
        return None
    return sdpa_mask(batch_size, q_length, *args, attention_mask=attention_mask, **options)


AttentionInterface.register(BY_ROW, sdpa_by_row)
AttentionMaskInterface.register(BY_ROW, _mask)
