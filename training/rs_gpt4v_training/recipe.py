"""The shipped recipes for `rs_gpt4v_training.sft`, and the shipped configurations of accelerate."""

from pathlib import Path

import yaml

_PACKAGE = Path(__file__).parent
# A wheel carries them inside the package, a checkout beside it.
_PLACES = (_PACKAGE, _PACKAGE.parent)


def recipe_path(recipe: str) -> Path:
    """The file ``recipe``, or the shipped recipe of that name.

    Raises:
        FileNotFoundError: It is neither; the message lists the shipped names.
    """
    return _shipped("recipe", "recipes", recipe)


def accelerate_path(config: str) -> Path:
    """The file ``config``, or the shipped configuration of accelerate of that name.

    Raises:
        FileNotFoundError: It is neither; the message lists the shipped names.
    """
    return _shipped("configuration of accelerate", "accelerate", config)


def processes(config: Path) -> int:
    """How many processes a configuration of accelerate starts."""
    return int(yaml.safe_load(config.read_text(encoding="utf-8")).get("num_processes", 1))


def _shipped(kind: str, folder: str, name: str) -> Path:
    folders = [place / folder for place in _PLACES]
    for path in (Path(name), *(place / f"{name}.yaml" for place in folders)):
        if path.is_file():
            return path
    names = sorted(path.stem for place in folders for path in place.glob("*.yaml"))
    raise FileNotFoundError(f"No {kind} {name!r}: give a YAML file or one of {', '.join(names)}")
