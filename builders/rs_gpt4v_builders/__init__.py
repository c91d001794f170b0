"""The sources, one module each, and the configs made from them.

To add a source, see CONTRIBUTING. Other packages add theirs by `rs_gpt4v_builders.plug_ins`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from rs_gpt4v import adapt, adapt_objects, adapt_probes
from rs_gpt4v.adapt import Adaption, Protocol
from rs_gpt4v_builders import plug_ins
from rs_gpt4v_builders.plug_ins import PlugInError
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
    """What ``load_dataset("rs_gpt4v", NAME)`` reads, and how its records become rows.

    Args:
        source: The release that it reads.
        adapt: Turns the release's records into rows.
        rows: Number of rows under the paper's protocol, for the README: train / validation /
            test.
        trains: Whether it has rows of the split "train".
    """

    source: Source
    adapt: Callable[[pa.Table, Adaption], pa.Table]
    rows: str
    trains: bool = True

    def splits(self, protocol: Protocol) -> Mapping[str, tuple[str, ...]]:
        """The splits that it has, in order, with the annotation files that each needs."""
        splits = self.source.splits(protocol)
        return {name: files for name, files in splits.items() if self.trains or name != "train"}


_PROBES = "- / - / made from the boxes of the 11,738 test images"

_DETECTION_ROWS = (
    "images: 11,725 / - / 11,738; one row per class, and one in four about an absent class"
)

CONFIGS: dict[str, Config] = {
    "cap_nwpu": Config(nwpu_captions.SOURCE, adapt.captions, "125,894 / 15,737 / 3,150"),
    "cap_rsicd": Config(rsicd.SOURCE, adapt.captions, "17,813 / 2,901 / 1,093"),
    "cap_rsitmd": Config(rsitmd.SOURCE, adapt.captions, "20,096 / - / 452"),
    "cap_sydney": Config(sydney_captions.SOURCE, adapt.captions, "2,294 / 274 / 58"),
    "cap_ucm": Config(ucm_captions.SOURCE, adapt.captions, "7,999 / 982 / 210"),
    "vqa_lr": Config(rsvqa_lr.SOURCE, adapt.questions, "57,223 / 10,005 / 10,004"),
    "vqa_hr": Config(
        rsvqa_hr.SOURCE,
        adapt.questions,
        "625,340 / 102,843 / 222,684, and `test_philadelphia` 105,647",
    ),
    "vqa_floodnet": Config(floodnet.SOURCE, adapt.questions, "4,511 / - / -"),
    "vqa_rsivqa": Config(rsivqa.SOURCE, adapt.questions, "19,218 / - / - (images of HRRSD)"),
    "grounding": Config(dior_rsvg.SOURCE, adapt.grounding, "19,643 / - / 18,677"),
    "region_caption": Config(dior_rsvg.SOURCE, adapt.region_caption, "19,643 / - / 18,677"),
    "conversation": Config(
        rs_gpt4v_instruct.SOURCE,
        adapt.conversation,
        "9,466 / - / 613 (as the paper states; not checked; images of DIOR)",
    ),
    "detail": Config(
        rs_gpt4v_instruct.DETAIL,
        adapt.detail,
        "9,465 / - / 613 (as the paper states; not checked; images of DIOR)",
    ),
    "scene_nwpu": Config(nwpu_captions.SCENES, adapt_objects.scenes, "25,200 / 3,150 / 3,150"),
    "scene_rsicd": Config(rsicd.SCENES, adapt_objects.scenes, "8,734 / 1,094 / 1,093"),
    "scene_rsitmd": Config(rsitmd.SCENES, adapt_objects.scenes, "4,291 / - / 452"),
    "scene_ucm": Config(ucm_captions.SCENES, adapt_objects.scenes, "1,680 / 210 / 210"),
    "probe_presence": Config(dior.SOURCE, adapt_probes.presence, _PROBES, trains=False),
    "probe_relation": Config(dior.SOURCE, adapt_probes.relation, _PROBES, trains=False),
    "detect_dior": Config(dior.SOURCE, adapt_objects.detection, _DETECTION_ROWS),
    "detect_dior_obb": Config(dior.ORIENTED, adapt_objects.detection, _DETECTION_ROWS),
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
    # What the paper names and its mixture does not have.
    "scenes": ("scene_nwpu", "scene_rsicd", "scene_rsitmd", "scene_ucm"),
    "probes": ("probe_presence", "probe_relation"),
    "detection": ("detect_dior", "detect_dior_obb"),
    "everything": tuple(CONFIGS),
}
"""Configs that are others, one after the other."""

DEFAULT_CONFIG = "all"

OBJECT_SOURCES = (dior.SOURCE, dior.ORIENTED)
"""Every object of DIOR's images: what dialogues are generated from too."""


def members(name: str) -> tuple[str, ...]:
    """The configs that the config or group ``name`` is made of."""
    return GROUPS.get(name, (name,))


def members_by_rows(name: str) -> dict[tuple[str, str], str]:
    """The configs of the config or group ``name``, by the source and the task of their rows.

    Presence and relation probes are of one source and task: they are told apart by no row, and
    are left out where both are there.
    """
    configs: dict[tuple[str, str], list[str]] = {}
    for member in members(name):
        config = config_of(member)
        task = _TASKS.get(config.adapt, config.adapt.__name__)
        configs.setdefault((config.source.name, task), []).append(member)
    return {key: own[0] for key, own in configs.items() if len(own) == 1}


_TASKS: dict[Callable[..., pa.Table], str] = {
    adapt.captions: "caption",
    adapt.questions: "vqa",
    adapt_objects.scenes: "scene",
    adapt_probes.presence: "probe",
    adapt_probes.relation: "probe",
}
"""The task of a function's rows, where it has another name."""


def asks_probes(name: str, tasks: Iterable[str] | None = None) -> bool:
    """Whether a config or group has probes; "folder" has those of its ``tasks``."""
    if name == "folder":
        return not set(tasks or ()).isdisjoint(GROUPS["probes"])
    probes = (adapt_probes.presence, adapt_probes.relation)
    return any(config_of(member).adapt in probes for member in members(name))


RESERVED = (*CONFIGS, *GROUPS, "folder")
"""Names that no other package can give its config."""


def config_of(name: str) -> Config:
    """The config ``name``, of ours or of another package.

    Raises:
        PlugInError: Another package's cannot be used.
        KeyError: There is none of that name.
    """
    return CONFIGS[name] if name in CONFIGS else _of_other_package(name)


@cache
def _of_other_package(name: str) -> Config:
    loaded = plug_ins.load(name)
    if not isinstance(loaded, Config):
        raise plug_ins.refused(name, f"expected a Config, found {loaded!r:.80}")
    ours = {source.name for source in sources_of(*CONFIGS)}
    if loaded.source.name in ours:
        raise plug_ins.refused(name, f"the name of its source, {loaded.source.name!r}, is taken")
    return loaded


@cache
def other_names() -> tuple[str, ...]:
    """The configs of other packages; a name of ours stays ours, and a warning says so."""
    for name in (taken := [name for name in plug_ins.found() if name in RESERVED]):
        packages = " and ".join(map(plug_ins.package, plug_ins.found()[name]))
        message = "%s: package %s adds a config of this name, which is taken: it is not read"
        plug_ins.logger.warning(message, name, packages)
    return tuple(name for name in plug_ins.found() if name not in taken)


@cache
def usable() -> dict[str, Config]:
    """All configs, ours first. What cannot be used of other packages is left out with a warning."""
    others = {name: _config_or_none(name) for name in other_names()}
    return CONFIGS | {name: config for name, config in others.items() if config}


def _config_or_none(name: str) -> Config | None:
    try:
        return config_of(name)
    except PlugInError as error:
        plug_ins.logger.warning("%s", error)
        return None


def all_sources() -> list[Source]:
    """The configs' sources, each once."""
    return sources_of(*usable())


def sources_of(*names: str) -> list[Source]:
    """The sources of the configs or groups ``names``, each once, in their order."""
    sources = [config_of(member).source for name in names for member in members(name)]
    return list({source.name: source for source in sources}.values())
