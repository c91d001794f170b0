"""What users call: what the reference, the packages' ``__all__``, the docs and the verbs name."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = (
    *("rs_gpt4v", "rs_gpt4v_builders", "rs_gpt4v_evaluation"),
    *("rs_gpt4v_generation", "rs_gpt4v_training"),
)


def public_objects() -> dict[str, Any]:
    """Each function and class by its full name."""
    named = {*_of_reference(), *_exported(), *_imported_by_docs(), *_used_by_verbs()}
    objects = [getattr(importlib.import_module(module), name, None) for module, name in named]
    return {
        f"{value.__module__}.{value.__qualname__}": value
        for value in objects
        if (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__.startswith("rs_gpt4v")
    }


def public_functions() -> dict[str, Callable[..., Any]]:
    """The functions, the methods of the classes, and the classes as what makes them."""
    functions = dict(public_objects())
    for name, value in list(functions.items()):
        if inspect.isclass(value):
            for key, member in vars(value).items():
                method = getattr(member, "__func__", member)
                if inspect.isfunction(method) and not key.startswith("_"):
                    functions[f"{name}.{key}"] = method
    return functions


def path_parameters(function: Callable[..., Any]) -> dict[str, str]:
    """The parameters that are paths, or hold some, with their annotations."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # an exception, say
        return {}
    annotations = {own.name: _text(own.annotation) for own in parameters}
    return {name: text for name, text in annotations.items() if re.search("Path", text)}


def with_texts(function: Callable[..., Any], called: set[str]) -> Callable[..., Any]:
    """``function`` with each path it gets as a text; its name goes into ``called`` then."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        called.add(f"{function.__module__}.{function.__qualname__}")
        return function(*map(_as_text, args), **{k: _as_text(v) for k, v in kwargs.items()})

    return call


def _as_text(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if type(value) in (list, tuple):
        return type(value)(map(_as_text, value))
    if type(value) is dict:
        return {key: _as_text(own) for key, own in value.items()}
    return value


def _text(annotation: Any) -> str:
    return annotation.__name__ if inspect.isclass(annotation) else str(annotation)


def _of_reference() -> Iterator[tuple[str, str]]:
    pattern = re.compile(r"^::: (\S+)(?:\n +options: \{members: \[(.*)\]\})?", re.MULTILINE)
    for page in (ROOT / "docs/reference").glob("*.md"):
        for name, members in pattern.findall(page.read_text(encoding="utf-8")):
            module = _module(name)
            if members:
                yield from ((name, own) for own in members.split(", "))
            elif module:
                yield from _own(module)
            else:  # a class or function
                module_name, _, own = name.rpartition(".")
                yield module_name, own


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def _own(module: ModuleType) -> Iterator[tuple[str, str]]:
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return ((module.__name__, name) for name in names)


def _exported() -> Iterator[tuple[str, str]]:
    for package in map(importlib.import_module, PACKAGES):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.ispkg and hasattr(module := importlib.import_module(info.name), "__all__"):
                yield from _own(module)


def _imported_by_docs() -> Iterator[tuple[str, str]]:
    pages = [ROOT / "README.md", ROOT / "dataset_card.md", *(ROOT / "docs").rglob("*.md")]
    for page in [*pages, *(ROOT / "notebooks").glob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]:
        text = page.read_text(encoding="utf-8").replace("\\n", "\n")
        for module, names in re.findall(r"from (rs_gpt4v[\w.]*) import ([\w, ]+)", text):
            yield from ((module, name) for name in re.findall(r"\w+", names))


def _used_by_verbs() -> Iterator[tuple[str, str]]:
    for file in (ROOT / "rs_gpt4v/cli").glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.startswith("rs_gpt4v"):
                for alias in node.names:
                    yield module, alias.name
                    yield from _attributes(tree, f"{module}.{alias.name}", alias)


def _attributes(tree: ast.AST, module: str, alias: ast.alias) -> Iterator[tuple[str, str]]:
    """What is used of an imported module; nothing where it is none."""
    if _module(module) is None:
        return iter(())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == (alias.asname or alias.name)
    }
    return ((module, name) for name in used)
