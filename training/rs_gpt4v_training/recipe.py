"""The shipped recipes for `rs_gpt4v_training.sft`, and the shipped configurations of accelerate."""

import difflib
import math
from collections.abc import Iterable
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

_PACKAGE = Path(__file__).parent
# A wheel carries them inside the package, a checkout beside it.
_PARENTS = (_PACKAGE, _PACKAGE.parent)


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


class RecipeError(ValueError):
    """An option is wrong, or does not go with another one, the rows or the machine."""


def is_weight(value: object) -> bool:
    """Whether ``value`` is a number above 0, and no infinity: YAML and JSON have both."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value < math.inf


def check_recipe(path: Path, kinds: Iterable[type]) -> None:
    """Raise unless ``path`` is a mapping of fields of the dataclasses ``kinds``, each of its type.

    Raises:
        RecipeError: Names the first wrong line or key.
        OSError: The file cannot be read.
    """
    types: dict[str, Any] = {"env": dict[str, Any]}
    for kind in kinds:
        types |= get_type_hints(kind)
    for key, value in _mapping(path).items():
        if key not in types:
            near = difflib.get_close_matches(str(key), types)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise RecipeError(f"{path}: {key}: there is no such option.{meant}")
        if not _is_of(types[key], value):
            quote = ' (YAML reads no as False and on as True: write "no")'
            raise RecipeError(
                f"{path}: {key}: expected {_named(types[key])}, found {value!r:.80}"
                + (quote if isinstance(value, bool) else "")
            )


def _mapping(path: Path) -> dict[Any, Any]:
    try:
        recipe = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        raise RecipeError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(recipe, dict):
        raise RecipeError(f"{path}: expected options and their values, such as 'max_steps: 100'")
    return recipe


def _is_of(kind: Any, value: object) -> bool:
    """Whether a value of YAML can be a ``kind``; 1e-4 is a text to YAML, and a number here."""
    from pydantic import TypeAdapter, ValidationError

    if isinstance(value, bool) and bool not in (kind, *get_args(kind)):
        return False
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def _named(kind: Any) -> str:
    """Such as "int or None", "one of token, top_k, task"."""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(_named, get_args(kind)))
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))


def _shipped(kind: str, subfolder: str, name: str) -> Path:
    folders = [parent / subfolder for parent in _PARENTS]
    for path in (Path(name).expanduser(), *(folder / f"{name}.yaml" for folder in folders)):
        if path.is_file():
            return path
    names = sorted(path.stem for folder in folders for path in folder.glob("*.yaml"))
    raise FileNotFoundError(f"No {kind} {name!r}: give a YAML file or one of {', '.join(names)}")
