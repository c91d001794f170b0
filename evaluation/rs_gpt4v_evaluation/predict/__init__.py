"""Replies to the rows of a dataset, by a model here or by a server."""

from typing import TYPE_CHECKING, Any

from rs_gpt4v_evaluation.predict.predictions import describe

if TYPE_CHECKING:
    from rs_gpt4v_evaluation.predict.by_model import Predictor, predict

__all__ = ["Predictor", "describe", "predict"]


def __getattr__(name: str) -> Any:
    """Load a model's libraries where they are used: scores and servers have no need of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rs_gpt4v_evaluation.predict import by_model

    return getattr(by_model, name)
