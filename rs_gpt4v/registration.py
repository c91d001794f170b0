"""Makes ``datasets`` find the builder under the name "rs_gpt4v".

`datasets` 5 runs no loading scripts, and its table of packaged modules globs ``data_dir`` (35 s
over 50,000 files). So the one function that turns a name into a builder module is wrapped, and
answers for this one name; every other name goes the ordinary way.
"""

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from rs_gpt4v import NAME


def register() -> None:
    """Wrap ``dataset_module_factory`` where `datasets` looks it up; done once."""
    import datasets.inspect
    import datasets.load

    modules: tuple[Any, ...] = (datasets.load, datasets.inspect)
    for module in modules:
        factory = module.dataset_module_factory
        if not hasattr(factory, _MARK):
            module.dataset_module_factory = _with_our_name(factory)


_MARK = "knows_rs_gpt4v"


def _with_our_name(factory: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(factory)
    def dataset_module_factory(*args: Any, **kwargs: Any) -> Any:
        return _module_factory(factory, args, kwargs)

    setattr(dataset_module_factory, _MARK, True)
    return dataset_module_factory


def _module_factory(
    wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    path = args[0] if args else kwargs.get("path")
    if path != NAME:
        _refuse_misspelt(path)
        return wrapped(*args, **kwargs)

    from datasets.load import DatasetModule

    # The builder makes its own hash, once it knows the config and the data root.
    return DatasetModule(
        "rs_gpt4v_builders.builder", hash="", builder_kwargs={"dataset_name": NAME}
    )


def _refuse_misspelt(path: object) -> None:
    """Raise for "rs-gpt4v" and the like, for which the Hub would be asked again and again."""
    if not isinstance(path, str) or Path(path).exists():
        return
    if re.sub(r"[\s_.-]", "", path).lower() == NAME.replace("_", ""):
        raise ValueError(f'load_dataset("{path}"): expected the name "{NAME}"')
