"""The rows of a split as results of others are matched with them: by id, image and question."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, cached_property

import datasets

from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.conversation import whole_columns
from rs_gpt4v.images import stem
from rs_gpt4v_evaluation.imports.boxes import TrueBoxes
from rs_gpt4v_evaluation.imports.questions import normal, own_keys

_IMAGE_ALONE = ("caption", "scene", "detail")
"""Tasks that ask one thing of an image, in whatever words."""
_BOXES = {"grounding", "detection"}


class Rows:
    """A split, with what finds a row in it; the images are neither decoded nor opened."""

    def __init__(self, rows: datasets.Dataset, codec: str = "llava") -> None:
        """Index ``rows``; ``codec`` reads the true boxes that a file states."""
        names = ("id", "task", "messages", "references", "question_type", "images")
        columns = whole_columns(rows, *names)
        self.ids: list[str] = columns["id"]
        self.tasks: list[str] = columns["task"]
        self.prompts: list[str] = [messages[-2]["content"] for messages in columns["messages"]]
        self.answers: list[list[str]] = columns["references"]
        self.references = [frozenset(map(normal, texts)) for texts in self.answers]
        self.types: list[str | None] = columns["question_type"]
        self.images = [images[0]["path"] or "" if images else "" for images in columns["images"]]
        self.find_images = cache(self._find_images)
        self._boxes = TrueBoxes(rows, CODECS[codec]) if _BOXES & {*self.tasks} else None
        self.by_id = {own: row for row, own in enumerate(self.ids)}

    @property
    def has_boxes(self) -> bool:
        """Whether a true answer is read in a format of boxes."""
        return self._boxes is not None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def keys(self) -> list[tuple[str, ...]]:
        """What each row may be asked as; of tasks that are asked in any words, nothing."""
        return [
            () if task in _IMAGE_ALONE else own_keys(prompt, task)
            for prompt, task in zip(self.prompts, self.tasks, strict=True)
        ]

    @cached_property
    def _questions(self) -> list[str]:
        """What each row asks, without the template."""
        return [keys[-1] if keys else "" for keys in self.keys]

    @cached_property
    def of_image(self) -> dict[str, list[int]]:
        """The rows of each image, by its path."""
        found: dict[str, list[int]] = defaultdict(list)
        for row, image in enumerate(self.images):
            found[image].append(row)
        return found

    @cached_property
    def _paths(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for image in self.of_image:
            found[_stem(image).lower()].append(image)
        return found

    def _find_images(self, name: str) -> list[str]:
        """The paths of the images that a name may mean: one, none, or several.

        Folders before the name and its suffix count only where they tell two images apart.
        """
        found = self._paths.get(_stem(name).lower(), [])
        for narrowed in (
            [path for path in found if _stem(path) == _stem(name)],
            _longest_way(found, name),
            [path for path in found if _suffix(path) == _suffix(name)],
        ):
            if len(found) > 1 and narrowed:
                found = [path for path in found if path in narrowed]
        return found

    @cached_property
    def by_question(self) -> dict[str, list[int]]:
        """The rows that are asked with the same words."""
        found: dict[str, list[int]] = defaultdict(list)
        for row, keys in enumerate(self.keys):
            for key in keys:
                found[key].append(row)
        return found

    @cached_property
    def by_reference(self) -> dict[str, list[int]]:
        """The rows of which a text is a true answer."""
        found: dict[str, list[int]] = defaultdict(list)
        for row, texts in enumerate(self.references):
            for text in texts:
                found[text].append(row)
        return found

    def with_rarest(self, references: Sequence[str]) -> list[int]:
        """The rows that have that one of ``references`` which the fewest have."""
        found = (self.by_reference.get(normal(text), []) for text in references)
        return min(found, key=len, default=[])

    def with_released_id(self, key: str) -> list[int]:
        """The rows that a release calls so, which is the last part of their ids."""
        return self._by_released_id.get(key.lstrip("0"), [])

    @cached_property
    def _by_released_id(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for row, own in enumerate(self.ids):
            found[own.rpartition("/")[2].lstrip("0")].append(row)
        return found

    def agrees(self, row: int, references: Sequence[str]) -> bool:
        """Whether the true answers of a file are among those of ``row``, or its true boxes."""
        if self._boxes and self.tasks[row] in _BOXES:
            return all(self._boxes.agree(row, text) for text in references)
        return self.references[row].issuperset(map(normal, references))

    def has_truth(self, row: int, references: Sequence[str]) -> bool:
        """Whether the true answers of a file are just those of ``row``."""
        return self.references[row] == frozenset(map(normal, references))

    def told(self, row: int, question: bool, answers: bool) -> tuple[str, frozenset[str]]:
        """What a file says of ``row`` if it states the question, the true answers, or both."""
        return (
            self._questions[row] if question else "",
            self.references[row] if answers else frozenset(),
        )

    def are_equal(self, rows: Iterable[int]) -> bool:
        """Whether rows ask and accept the same, so that a reply is worth the same for each."""
        return len({(self._questions[i], self.references[i], self.types[i]) for i in rows}) == 1


def _parts(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")


def _stem(name: str) -> str:
    return stem(_parts(name)[-1])


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _longest_way(paths: list[str], name: str) -> list[str]:
    """Those that have most folders in common with a name, from its end."""
    shared = {path: _in_common(_parts(path)[:-1], _parts(name)[:-1]) for path in paths}
    most = max(shared.values(), default=0)
    return [path for path, n in shared.items() if n == most]


def _in_common(one: list[str], other: list[str]) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    n = 0
    for a, b in pairs:
        if a.lower() != b.lower():
            break
        n += 1
    return n
