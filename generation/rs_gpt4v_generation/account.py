"""What became of everything that a run asked for."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rs_gpt4v.chat_api import Summary
from rs_gpt4v_generation.lines import TEMPLATES
from rs_gpt4v_generation.verdicts import checks_with, is_sound


@dataclass
class Account:
    """What became of everything that was asked for.

    Attributes:
        scenes: Images.
        asked: Dialogues asked for: those in ``dialogues``, ``failed`` and ``pending`` together.
        dialogues: How many came, by product.
        failing: How many of these fail a check.
        checks: How many of these fail each check.
        unconfirmed: How many fail none, and say nothing that the boxes confirm either.
        failed: How many came to nothing, by what is wrong.
        pending: How many the same run, made again, asks for again.
        probes: Templated questions, by whether they are answered yes.
        stopped: Why not all was asked; None where all was.
        summaries: Of each time of asking.
    """

    scenes: int
    asked: int
    stopped: str | None
    summaries: list[Summary]
    dialogues: Counter[str] = field(default_factory=Counter)
    failing: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    unconfirmed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    pending: int = 0
    probes: Counter[bool] = field(default_factory=Counter)

    def count(self, line: dict[str, Any]) -> None:
        """Add what was written."""
        if "wrong" in line:
            self.pending += line["pending"]
            self.failed[line["wrong"]] += not line["pending"]
        elif line["model"] == TEMPLATES:
            self.probes.update(line["holds"])
        else:
            wrong = checks_with("fail", line["verdicts"])
            self.dialogues[line["product"]] += 1
            self.failing += bool(wrong)
            self.checks.update(wrong)
            self.unconfirmed += not wrong and not is_sound(line["verdicts"])

    def __str__(self) -> str:
        came, failed = self.dialogues.total(), self.failed.total()
        told = [
            f"{self.scenes:,} images, {self.asked:,} dialogues asked for: {came:,} came, "
            f"{failed:,} came to nothing, {self.pending:,} are to be asked again",
            _listed("dialogues", self.dialogues),
            f"  with a failed check: {self.failing:,}{_counted(self.checks, ': ')}",
            f"  with nothing that the boxes confirm, else: {self.unconfirmed:,}",
            _listed("came to nothing", self.failed),
        ]
        if self.probes:
            told.append(
                f"  templated questions: {self.probes.total():,}, {self.probes[False]:,} no"
            )
        told += map(str, self.summaries)
        if self.stopped:
            told.append(self.stopped)
        return "\n".join(filter(None, told))


def _listed(what: str, counts: Counter[str]) -> str:
    return f"  {what}: {_counted(counts)}" if counts.total() else ""


def _counted(counts: Counter[str], before: str = "") -> str:
    said = ", ".join(f"{name} {count:,}" for name, count in counts.most_common() if count)
    return said and f"{before}{said}"
