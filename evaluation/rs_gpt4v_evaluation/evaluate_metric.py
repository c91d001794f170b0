"""Metrics as modules of `evaluate`: apart from the rest, as importing it loads PyTorch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, ClassVar

import datasets
import evaluate

from rs_gpt4v_evaluation.metric import Measured, listed


class EvaluateMetric(evaluate.Metric):
    """A metric for `evaluate.load`, which shows the docstring of the class.

    A metric's module imports this module, not the class: `evaluate` takes the first class of its
    own that it finds there. The module is named as its folder, where ``citation.bib`` stands.
    """

    COLUMNS: ClassVar[Mapping[str, Any]]
    URLS: ClassVar[Sequence[str]]
    MEASURE: ClassVar[Callable[..., Measured]]

    @property
    def name(self) -> str:
        """That of the module; `evaluate` makes one of the class, and RSVQA would be "rsvqa"."""
        return type(self).__module__.rpartition(".")[2]

    def _info(self) -> evaluate.MetricInfo:
        text = self.__doc__ or ""
        # `evaluate` runs a copy of the module, under the same name, without the files beside it.
        folder = files("rs_gpt4v_evaluation") / self.name
        return evaluate.MetricInfo(
            description=text.partition("\n\n")[0],
            citation=(folder / "citation.bib").read_text(encoding="utf-8"),
            inputs_description=text,
            features=datasets.Features(self.COLUMNS),
            reference_urls=list(self.URLS),
        )

    def _compute(self, **columns: Any) -> dict[str, Any]:
        return self.MEASURE(**columns).result


class AnswersMetric(EvaluateMetric):
    """A metric whose rows have one reference or several."""

    def add(self, *, reference: str | Sequence[str] | None = None, **row: Any) -> None:
        """As of any metric, in the singular or the plural; a reference is one answer or several."""
        super().add(**{**row, "references": listed(row.get("references", reference))})

    def add_batch(self, *, references: Iterable[Any], **columns: Any) -> None:
        """As of any metric; each reference may be one answer or several."""
        super().add_batch(references=[listed(own) for own in references], **columns)
