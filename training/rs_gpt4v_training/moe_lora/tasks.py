"""Carries each row's task from the dataset to the routers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class TaskCollator:
    """``collator``'s batch, and in ``tasks`` the place of each row's ``task`` in ``tasks``: [rows].

    The trainer must keep the column (``remove_unused_columns: false``).

    Args:
        collator: Makes the rest of the batch.
        tasks: Names of all tasks; for routing "task", those of the adapter's config.
    """

    collator: Callable[[list[dict[str, Any]]], Any]
    tasks: list[str]

    def __call__(self, examples: list[dict[str, Any]]) -> Any:
        """Collate ``examples``.

        Raises:
            ValueError: A row's task is none of ``tasks``.
        """
        names = [example["task"] for example in examples]
        if unknown := set(names) - set(self.tasks):
            raise ValueError(
                f"rows of task {', '.join(sorted(unknown))}, "
                f"but the tasks are {', '.join(self.tasks)}"
            )
        batch = self.collator(examples)
        batch["tasks"] = torch.tensor([self.tasks.index(name) for name in names])
        return batch
