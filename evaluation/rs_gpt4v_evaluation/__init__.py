"""From a model to predictions, from predictions to scores, from scores to a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluate import EvaluationModule

__all__ = ["load", "path"]


def load(name: str, **options: Any) -> "EvaluationModule":
    """A metric, as `evaluate.load` gives it.

    Args:
        name: That of its folder: "rs_caption", "rs_vqa", ...
        options: Those of `evaluate.load`, such as ``num_process`` or ``cache_dir``.

    Raises:
        ValueError: There is no such metric; the message lists all.
    """
    import evaluate

    return evaluate.load(path(name), **options)


def path(name: str) -> str:
    """The folder of a metric, for what takes a path: `evaluate.load`, `evaluate.combine`.

    >>> Path(path("rs_vqa")).name
    'rs_vqa'

    Raises:
        ValueError: There is no such metric; the message lists all.
    """
    metrics = {
        folder.name: str(folder)
        for folder in sorted(Path(__file__).parent.iterdir())
        if (folder / f"{folder.name}.py").is_file()
    }
    if name not in metrics:
        raise ValueError(f"there is no metric {name!r}; there are {', '.join(metrics)}")
    return metrics[name]
