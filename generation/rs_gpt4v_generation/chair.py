"""CHAIR of free texts (Rohrbach et al., 2018): how much of what they name the boxes deny.

The objects and numbers that a text claims are read by the rules of `rs_gpt4v_generation.claims` and
judged as those of a generated dialogue. Things that are no class of the annotation do not count.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rs_gpt4v_generation.checks import judge
from rs_gpt4v_generation.claims import Claim, Topic, claims, plain
from rs_gpt4v_generation.scene import Scene

_MOST_SHOWN = 5


class Reply(NamedTuple):
    """A text about the image at ``image``; ``prompt`` is what it replies to."""

    id: str
    image: str
    prompt: str
    text: str


class Named(NamedTuple):
    """What one text claims, as far as the boxes decide it.

    Attributes:
        id: Of the reply.
        classes: That it says are there, each once.
        denied: Those of them that have no box.
        counts: Sentences with a number of objects.
        denied_counts: Those of them whose number is another.
    """

    id: str
    classes: tuple[str, ...]
    denied: tuple[str, ...]
    counts: tuple[str, ...]
    denied_counts: tuple[str, ...]

    @property
    def chair_i(self) -> float | None:
        """The share of its classes that have no box; None where it names no class."""
        return len(self.denied) / len(self.classes) if self.classes else None


def named(reply: Reply, scene: Scene) -> Named:
    """What ``reply`` claims of its image."""
    sheet = scene.sheet()
    read, _ = claims(plain(reply.prompt), plain(reply.text), scene.vocabulary, Topic())
    judged = [(claim, judge(claim, sheet, 0).result) for claim in read]
    present = {_name(c): r for c, r in judged if c.kind == "presence" and not c.negated}
    counted = [(c.sentence, r) for c, r in judged if c.kind == "count"]
    decided = {name: result for name, result in present.items() if result != "cannot tell"}
    return Named(
        reply.id,
        tuple(decided),
        tuple(name for name, result in decided.items() if result == "fail"),
        tuple(sentence for sentence, result in counted if result != "cannot tell"),
        tuple(sentence for sentence, result in counted if result == "fail"),
    )


def _name(claim: Claim) -> str:
    return " or ".join(claim.names)


@dataclass(frozen=True, slots=True)
class Chair:
    """CHAIR of some replies.

    Attributes:
        replies: What each claims.
        without_boxes: Ids of replies about an image whose boxes are not known.
    """

    replies: list[Named]
    without_boxes: list[str]

    @property
    def scores(self) -> dict[str, float | int | None]:
        """Of all replies; None where there is nothing to take a share of.

        ``chair_i`` is the share of the named classes that have no box, ``chair_s`` that of replies
        which name such a class, ``denied_counts`` that of the stated numbers that are others.
        """
        classes, denied, counts, wrong = (
            sum(map(len, column)) for column in list(zip(*self.replies, strict=True))[1:]
        )
        return {
            "chair_i": _share(denied, classes),
            "chair_s": _share(sum(bool(own.denied) for own in self.replies), len(self.replies)),
            "denied_counts": _share(wrong, counts),
            "n": len(self.replies),
            "n_classes": classes,
            "n_counts": counts,
            "n_without_boxes": len(self.without_boxes),
        }

    def __str__(self) -> str:
        scores = self.scores
        lines = [
            f"  {name:15}{_shown(scores[name])}  of {scores[of]:,} {what}"
            for name, of, what in (
                ("chair_i", "n_classes", "classes named in replies"),
                ("chair_s", "n", "replies"),
                ("denied_counts", "n_counts", "numbers of objects"),
            )
        ]
        if self.without_boxes:
            first = self.without_boxes[0]
            lines.append(f"  {len(self.without_boxes):,} replies left out, no boxes: {first}, ...")
        denied = Counter(name for own in self.replies for name in own.denied)
        most = ", ".join(f"{name} {count:,}" for name, count in denied.most_common(_MOST_SHOWN))
        return "\n".join([*lines, f"  most often made up: {most or 'nothing'}"])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _shown(share: float | None) -> str:
    return "none  " if share is None else f"{share:.4f}"


def chair(replies: Iterable[Reply], scenes: Sequence[Scene]) -> Chair:
    """CHAIR of ``replies``, each by the boxes of its image.

    An image is that of a scene by its path, or by its name where all scenes are DIOR's, whose
    images lie in several releases.

    Raises:
        ValueError: No reply is about an image of ``scenes``.
    """
    by_path = {str(scene.image.resolve()): scene for scene in scenes}
    by_name = {s.image.stem: s for s in scenes if s.source.startswith("dior")}
    judged, without = [], []
    for reply in replies:
        path = Path(reply.image)
        scene = by_path.get(str(path.resolve())) or by_name.get(path.stem)
        if scene is None:
            without.append(reply.id)
        else:
            judged.append(named(reply, scene))
    if not judged:
        example = f", such as {without[0]}," if without else ""
        raise ValueError(
            f"none of {len(without):,} replies{example} is about an image of the "
            f"{len(scenes):,} that have boxes: give the boxes of their images with --data-dir "
            "(DIOR) or --boxes, and their --split"
        )
    return Chair(judged, without)
