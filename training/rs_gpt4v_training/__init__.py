"""Fine-tuning and training by rewards with TRL, straight from the conversation rows."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rs_gpt4v_training.loading import load, merge

__all__ = ["load", "merge"]


def __getattr__(name: str) -> Any:
    # Not before it is asked for: it takes seconds to import.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rs_gpt4v_training import loading

    return getattr(loading, name)
