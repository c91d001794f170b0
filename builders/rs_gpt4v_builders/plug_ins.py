"""Configs of other packages: entry points of the group ``rs_gpt4v.sources``, one a config.

In the other package's pyproject.toml::

    [project.entry-points."rs_gpt4v.sources"]
    cap_toy = "rs_toy:CONFIG"

The name is that of the config, and the object is a `rs_gpt4v_builders.Config`. A package is
imported when its config is asked for: a broken one costs nobody else's configs.
"""

import importlib.util
import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

logger = logging.getLogger(__name__)

GROUP = "rs_gpt4v.sources"


class PlugInError(ValueError):
    """A config of another package cannot be used; the message names the package and says why."""


@cache
def found() -> dict[str, tuple[EntryPoint, ...]]:
    """The entry points of each config of other packages, in the order of their names."""
    by_name: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point not in by_name.setdefault(point.name, []):  # a package may be on the path twice
            by_name[point.name].append(point)
    return {name: tuple(by_name[name]) for name in sorted(by_name)}


def package(point: EntryPoint) -> str:
    """The package of an entry point, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.module


def load(name: str) -> object:
    """What the entry point of a config names.

    Raises:
        PlugInError: Two packages have that config, or it cannot be imported.
    """
    point, *others = found()[name]
    if others:
        packages = " and ".join(map(package, (point, *others)))
        raise PlugInError(f"{name}: packages {packages} both add this config: uninstall one")
    try:
        return point.load()
    except Exception as error:
        raise refused(name, f"{type(error).__name__}: {error}") from error


def refused(name: str, reason: str) -> PlugInError:
    """The error of a config that cannot be used."""
    point = found()[name][0]
    return PlugInError(
        f"{name}: package {package(point)} adds this config as {point.value}, which cannot be "
        f"used: {reason}. Mend or uninstall the package"
    )


def code(name: str) -> list[Path]:
    """The Python files of the package that adds a config: they decide its rows."""
    files: list[Path] = []
    for point in found()[name]:
        spec = importlib.util.find_spec(point.module.split(".")[0])
        if spec and spec.submodule_search_locations:
            folders = map(Path, spec.submodule_search_locations)
            files += [file for folder in folders for file in sorted(folder.rglob("*.py"))]
        elif spec and spec.origin:
            files.append(Path(spec.origin))
    return files
