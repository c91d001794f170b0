"""Who answers a bench: a model here, in one process or several, or servers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rs_gpt4v.chat_api import Endpoint
from rs_gpt4v_evaluation.bench.jobs import Job
from rs_gpt4v_evaluation.bench.machine import hardware, local_processes
from rs_gpt4v_evaluation.predict.server import predict_by_server
from rs_gpt4v_evaluation.score.results import Model

if TYPE_CHECKING:
    from rs_gpt4v_evaluation.predict.predictor import Predictor


class Answerer(Protocol):
    """One model.

    Attributes:
        described: What a results file says of it.
        box_format: How it writes boxes; None where that is not known.
        is_main: Whether this process scores what all have answered.
    """

    described: Model
    box_format: str | None
    is_main: bool

    def ask(self, job: Job, out: Path, bar: Any) -> list[str]:
        """Write the replies to ``out``; a line for each row that has none."""
        ...

    def wait(self) -> None:
        """Return when all processes have come here."""
        ...

    def run(self) -> dict[str, Any]:
        """Where it works."""
        ...


def answerer(model: "Predictor | Endpoint", batch_size: int) -> Answerer:
    """That of a model, or of the one behind a server."""
    if isinstance(model, Endpoint):
        return _Server(model)
    return _Here(model, batch_size)


class _Server:
    is_main = True
    box_format: str | None = None

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.described: Model = {
            "name": endpoint.model,
            "revision": None,
            "adapter": None,
            "weights": None,
            "server": None,
        }

    def ask(self, job: Job, out: Path, bar: Any) -> list[str]:
        return predict_by_server(self.endpoint, job.rows, job.described, out, job.longest, bar=bar)

    def wait(self) -> None:
        pass

    def run(self) -> dict[str, Any]:
        return {"servers": [own.name for own in self.endpoint.each]}


class _Here:
    def __init__(self, predictor: "Predictor", batch_size: int) -> None:
        from rs_gpt4v_evaluation.predict.predictor import processes

        self.predictor, self.batch_size, self.processes = predictor, batch_size, processes()
        self.is_main = self.processes.is_main_process
        self.box_format: str | None = predictor.box_format
        self.described: Model = {
            "name": predictor.name,
            "revision": predictor.revision,
            "adapter": predictor.adapter,
            "weights": predictor.weights,
            "server": None,
        }

    def ask(self, job: Job, out: Path, bar: Any) -> list[str]:
        from rs_gpt4v_evaluation.predict.by_model import predict

        before = bar.n
        predictor = self.predictor.with_longest_reply(job.longest)
        predict(predictor, job.rows, job.described, out, self.batch_size, bar=bar)
        bar.update(before + len(job.rows) - bar.n)  # by what other processes answered
        return []

    def wait(self) -> None:
        self.processes.wait_for_everyone()

    def run(self) -> dict[str, Any]:
        here = self.processes
        return hardware() | {
            "processes": here.num_processes,
            "machines": here.num_processes // local_processes(),
        }
