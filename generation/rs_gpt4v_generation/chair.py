"""What free texts claim of annotated images, and what of it the boxes deny.

The objects and numbers that a text claims are read by the rules of `rs_gpt4v_generation.claims` and
judged as those of a generated dialogue. Things that are no class of the annotation do not count.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rs_gpt4v_builders.sources import dior, dior_rsvg, rs_gpt4v_instruct
from rs_gpt4v_generation.checks import judge
from rs_gpt4v_generation.claims import Claim, Topic, claims, plain
from rs_gpt4v_generation.scene import Scene

_OF_DIOR = {
    source.name
    for source in (
        *(dior.SOURCE, dior.ORIENTED, dior_rsvg.SOURCE),
        *(rs_gpt4v_instruct.SOURCE, rs_gpt4v_instruct.DETAIL),
    )
}
"""Sources whose images are DIOR's, wherever they lie: of the others, 00001.jpg is another image."""


class Reply(NamedTuple):
    """A text about the image at ``image``; ``prompt`` is what it replies to, ``source`` whose."""

    id: str
    source: str
    image: str
    prompt: str
    text: str


class Named(NamedTuple):
    """What one text claims, as far as the boxes decide it.

    Attributes:
        classes: That it says are there, each once.
        denied: Those of them that have no box.
        counts: Sentences with a number of objects.
        denied_counts: Those of them whose number is another.
    """

    classes: list[str]
    denied: list[str]
    counts: list[str]
    denied_counts: list[str]


def named(prompt: str, text: str, scene: Scene) -> Named:
    """What ``text``, a reply to ``prompt``, claims of an image."""
    sheet = scene.sheet()
    read, _ = claims(plain(prompt), plain(text), scene.vocabulary, Topic())
    judged = [(claim, judge(claim, sheet, 0).result) for claim in read]
    present = {_name(c): r for c, r in judged if c.kind == "presence" and not c.negated}
    counted = [(c.sentence, r) for c, r in judged if c.kind == "count"]
    decided = {name: result for name, result in present.items() if result != "cannot tell"}
    return Named(
        list(decided),
        [name for name, result in decided.items() if result == "fail"],
        [sentence for sentence, result in counted if result != "cannot tell"],
        [sentence for sentence, result in counted if result == "fail"],
    )


def _name(claim: Claim) -> str:
    return " or ".join(claim.names)


class Scenes:
    """Finds the annotated image that a row is about.

    It is that of the row's path; of the releases with DIOR's images, which lie in several folders,
    also that of its name, where the scenes are DIOR's.
    """

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self.number = len(scenes)
        self._by_path = {str(scene.image.resolve()): scene for scene in scenes}
        self._by_name = {s.image.stem: s for s in scenes if s.source in _OF_DIOR}

    def find(self, image: str, source: str) -> Scene | None:
        """The scene of a path and a source; None where the boxes of the image are not known."""
        path = Path(image)
        found = self._by_path.get(str(path.resolve()))
        return found or (self._by_name.get(path.stem) if source in _OF_DIOR else None)


def named_in(replies: Iterable[Reply], scenes: Sequence[Scene]) -> list[Named | None]:
    """What each reply claims; None where the boxes of its image are not known.

    Raises:
        ValueError: They are known of none.
    """
    known = Scenes(scenes)
    rows = [(reply, known.find(reply.image, reply.source)) for reply in replies]
    if not any(scene for _, scene in rows):
        example = f", such as {rows[0][0].id}," if rows else ""
        raise ValueError(
            f"none of {len(rows):,} replies{example} is about an image of the "
            f"{known.number:,} that have boxes: give the boxes of their images with --data-dir "
            "(DIOR) or --boxes, and their --split"
        )
    return [scene and named(reply.prompt, reply.text, scene) for reply, scene in rows]
