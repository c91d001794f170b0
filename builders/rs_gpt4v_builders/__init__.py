"""The sources, one module each, and the configs made from them.

To add a source: write its module (copy the nearest one), then name its configs here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from rs_gpt4v import adapt
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.source import Source
from rs_gpt4v_builders import rsicd, rsvqa_hr, rsvqa_lr, ucm_captions


@dataclass(frozen=True, slots=True)
class Config:
    """What ``load_dataset("rs_gpt4v", NAME)`` reads, and how its records become rows."""

    source: Source
    adapt: Callable[[pa.Table, Adaption], pa.Table]


CONFIGS: dict[str, Config] = {
    "cap_rsicd": Config(rsicd.SOURCE, adapt.captions),
    "cap_ucm": Config(ucm_captions.SOURCE, adapt.captions),
    "vqa_lr": Config(rsvqa_lr.SOURCE, adapt.questions),
    "vqa_hr": Config(rsvqa_hr.SOURCE, adapt.questions),
}
