"""What is written of a scene: candidates for reviewers, and what came to nothing."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rs_gpt4v.conversation import Message
from rs_gpt4v.files import relative
from rs_gpt4v_generation.asking import Draft
from rs_gpt4v_generation.checks import check
from rs_gpt4v_generation.facts import FactSheet
from rs_gpt4v_generation.probes import probes
from rs_gpt4v_generation.products import Product
from rs_gpt4v_generation.prompts import prompt_version
from rs_gpt4v_generation.replies import Unusable
from rs_gpt4v_generation.scene import Scene

TEMPLATES = "templates"
"""What a dialogue of `Probing` names as its model: none wrote it."""


class Probing(NamedTuple):
    """Templated yes-or-no questions: how many an image, and the share of those answered no."""

    count: int = 0
    share: float = 0.5
    seed: int = 0


class Work(NamedTuple):
    """A scene and what came of it; relative paths of images start from ``folder``."""

    scene: Scene
    drafts: tuple[Draft, ...]
    probing: Probing
    folder: Path


def lines(work: Work) -> list[dict[str, Any]]:
    """A line a draft: a `Candidate` of the reviewers' queue, or why there is none.

    A candidate also has its ``source`` and ``split``, and ``kinds`` or ``local`` of its `Dialogue`.
    What came to nothing has ``wrong`` for programs, ``reason`` for people, and is ``pending`` if
    the same run, made again, asks again.
    """
    sheet = work.scene.sheet()
    drafted = [_drafted(draft, sheet, work.folder) for draft in work.drafts]
    return [*drafted, _probed(work, sheet)] if work.probing.count else drafted


def _drafted(draft: Draft, sheet: FactSheet, folder: Path) -> dict[str, Any]:
    scene, product, told = draft.wish.scene, draft.wish.product, draft.told
    if isinstance(told, Unusable):
        pending = told.wrong in ("exhausted", "unsent")
        failed = {"wrong": told.wrong, "reason": told.reason, "pending": pending}
        return _named(scene, product, folder) | failed | {"request": draft.request}
    more = {"kinds": list(told.kinds), "local": list(told.local)}
    return {
        **_candidate(scene, sheet, product, product, told.messages, folder),
        **{name: said for name, said in more.items() if said},
        "model": draft.model,
        "prompt": prompt_version(product),
        "request": draft.request,
    }


def _probed(work: Work, sheet: FactSheet) -> dict[str, Any]:
    scene, (count, share, seed) = work.scene, work.probing
    asked = probes(
        sheet,
        count,
        seed=f"{seed}/{scene.split}/{scene.key}",
        share=share,
        vocabulary=scene.vocabulary,
    )
    messages: list[Message] = []
    for probe in asked:
        messages.append({"role": "user", "content": probe.question})
        messages.append({"role": "assistant", "content": probe.answer})
    told = _candidate(scene, sheet, "conversation", "probes", tuple(messages), work.folder)
    return told | {"model": TEMPLATES, "holds": [probe.holds for probe in asked]}


def _candidate(
    scene: Scene,
    sheet: FactSheet,
    product: Product,
    name: str,
    messages: tuple[Message, ...],
    folder: Path,
) -> dict[str, Any]:
    verdicts = check(messages, sheet, product, scene.vocabulary)
    return {
        **_named(scene, name, folder),
        "width": scene.width,
        "height": scene.height,
        "product": product,
        "messages": list(messages),
        "boxes": scene.boxes,
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }


def _named(scene: Scene, name: str, folder: Path) -> dict[str, Any]:
    return {
        "id": f"{scene.split}/{scene.key}/{name}",
        "image": relative(scene.image, folder),
        "source": scene.source,
        "split": scene.split,
        "product": name,
    }
