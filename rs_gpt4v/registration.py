"""Makes ``datasets`` find the builder under the name "rs_gpt4v".

`datasets` 5 runs no loading scripts, and its table of packaged modules globs ``data_dir`` (35 s
over 50,000 files). So the one function that turns a name into a builder module is wrapped, and
answers for this one name; every other name goes the ordinary way.
"""

from collections.abc import Callable
from typing import Any

import wrapt

from rs_gpt4v import NAME


def register(datasets: object) -> None:
    """Wrap ``dataset_module_factory`` where the just imported ``datasets`` looks it up."""
    del datasets
    for module in ("datasets.load", "datasets.inspect"):
        wrapt.wrap_function_wrapper(module, "dataset_module_factory", _module_factory)


def _module_factory(
    wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    path = args[0] if args else kwargs.get("path")
    if path != NAME:
        return wrapped(*args, **kwargs)

    from datasets.load import DatasetModule

    # The builder makes its own hash, once it knows the config and the data root.
    return DatasetModule(
        "rs_gpt4v_builders.builder", hash="", builder_kwargs={"dataset_name": NAME}
    )
