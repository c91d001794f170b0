"""The sources, one module each, and the configs made from them.

To add a source: write its module (copy the nearest one), then name its configs here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from rs_gpt4v import adapt
from rs_gpt4v.adapt import Adaption
from rs_gpt4v_builders.sources import (
    dior,
    dior_rsvg,
    floodnet,
    nwpu_captions,
    rs_gpt4v_instruct,
    rsicd,
    rsitmd,
    rsivqa,
    rsvqa_hr,
    rsvqa_lr,
    sydney_captions,
    ucm_captions,
)
from rs_gpt4v_builders.sources.source import Source


@dataclass(frozen=True, slots=True)
class Config:
    """What ``load_dataset("rs_gpt4v", NAME)`` reads, and how its records become rows."""

    source: Source
    adapt: Callable[[pa.Table, Adaption], pa.Table]


CONFIGS: dict[str, Config] = {
    "cap_nwpu": Config(nwpu_captions.SOURCE, adapt.captions),
    "cap_rsicd": Config(rsicd.SOURCE, adapt.captions),
    "cap_rsitmd": Config(rsitmd.SOURCE, adapt.captions),
    "cap_sydney": Config(sydney_captions.SOURCE, adapt.captions),
    "cap_ucm": Config(ucm_captions.SOURCE, adapt.captions),
    "vqa_lr": Config(rsvqa_lr.SOURCE, adapt.questions),
    "vqa_hr": Config(rsvqa_hr.SOURCE, adapt.questions),
    "vqa_floodnet": Config(floodnet.SOURCE, adapt.questions),
    "vqa_rsivqa": Config(rsivqa.SOURCE, adapt.questions),
    "grounding": Config(dior_rsvg.SOURCE, adapt.grounding),
    "region_caption": Config(dior_rsvg.SOURCE, adapt.region_caption),
    "conversation": Config(rs_gpt4v_instruct.SOURCE, adapt.conversation),
    "detail": Config(rs_gpt4v_instruct.DETAIL, adapt.detail),
}

GROUPS: dict[str, tuple[str, ...]] = {
    "captioning": ("cap_nwpu", "cap_rsicd", "cap_rsitmd", "cap_sydney", "cap_ucm"),
    "vqa": ("vqa_lr", "vqa_hr", "vqa_floodnet", "vqa_rsivqa"),
    "instruct": ("conversation", "detail"),
    # The paper's training mixture, 938,605 rows: another source does not join it.
    "all": (
        *("cap_nwpu", "cap_rsicd", "cap_rsitmd", "cap_sydney", "cap_ucm"),
        *("vqa_lr", "vqa_hr", "vqa_floodnet", "vqa_rsivqa"),
        *("grounding", "region_caption", "conversation", "detail"),
    ),
}
"""Configs that are others, one after the other."""

DEFAULT_CONFIG = "all"

OBJECT_SOURCES = (dior.SOURCE, dior.ORIENTED)
"""Every object of DIOR's images: no rows, but what dialogues are generated from."""


def members(name: str) -> tuple[str, ...]:
    """The configs that the config or group ``name`` is made of."""
    return GROUPS.get(name, (name,))


def all_sources() -> list[Source]:
    """The configs' sources and those that dialogues are generated from, each once."""
    return [*sources_of(*CONFIGS), *OBJECT_SOURCES]


def sources_of(*names: str) -> list[Source]:
    """The sources of the configs or groups ``names``, each once, in their order."""
    configs = [CONFIGS[member] for name in names for member in members(name)]
    return list({config.source.name: config.source for config in configs}.values())
