r"""A question without what stands around it: image tokens, tags, chat markers, instructions.

Two questions are one where they are equal then, but for case, spaces and the signs at their ends.
A question is never looked for inside another: "Is there a road?" stands in "Is there a road next
to the river?" too.

>>> question = "[VQA] <image>\\n Is there a road? Answer the question using a single word."
>>> their_keys([question], ["vqa"])(question)[-1]
'is there a road'
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache

from rs_gpt4v import templates
from rs_gpt4v_evaluation.imports.damage import repaired

TEMPLATES = {
    "vqa": templates.VQA,
    "probe": templates.VQA,
    "grounding": templates.GROUNDING,
    "region_caption": templates.REGION_CAPTION,
    "detection": templates.DETECTION,
}
"""The templates that questions of a task were put into, where they were."""

_TOKENS = re.compile(r"</?(?:image|img|video|im_start|im_end|ImageHere|s)>|<\|[a-z_]+\|>")
_ASKERS = ("user\n", "USER:", "Human:", "[INST]")
_REPLY = re.compile(r"(?:\n\s*assistant|\bASSISTANT:|\bAssistant:|\[/INST\])\s*$")
_TAGS = re.compile(r"^(?:\s*(?:\[[\w. -]{1,30}\]|\{[\w. -]{1,30}\}))+")
_NAMED = re.compile(r"(?s)<(p|ref|box)>(.*?)</\1>")
_LEAD = re.compile(r"^\s*(?:question|q)\s*:\s*", re.IGNORECASE)
_INSTRUCTION = re.compile(
    r"""\b(?:please\s+)?(?:answer|reply|respond|output|give)\b
        (?=[^?\n]*\b(?:words?|phrases?|brief|briefly|short|yes|no|number|numeral|concise(?:ly)?)\b)
        [^?\n]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_ENDS = " \t\r\n.?!:;,#\"'`"


def normal(text: str) -> str:
    """A text as it is compared with others."""
    return " ".join(text.lower().split()).strip(_ENDS)


@lru_cache(maxsize=1 << 17)
def _cleaned(text: str) -> str:
    text = _TOKENS.sub(" ", repaired(text))
    for asker in _ASKERS:
        text = text.rpartition(asker)[2]
    text = _REPLY.sub("", text)
    return _LEAD.sub("", _TAGS.sub("", text)).strip()


def own_keys(prompt: str, task: str) -> tuple[str, ...]:
    """What a row of ours may be asked as: as a whole, and without our template."""
    return tuple(dict.fromkeys((normal(prompt), normal(_unwrapped(prompt, [task])))))


@cache
def _frames(tasks: tuple[str, ...]) -> list[tuple[str, str]]:
    """What the templates of some tasks put before and behind a question."""
    parts = (template.partition("{}") for task in tasks for template in TEMPLATES.get(task, ()))
    return [(before, after) for before, _, after in parts]


def _unwrapped(prompt: str, tasks: Iterable[str]) -> str:
    fitting = [
        (before, after)
        for before, after in _frames(tuple(tasks))
        if prompt.endswith(after)
        and prompt.startswith(before)
        and len(prompt) > len(before + after)
    ]
    if not fitting:
        return prompt
    before, after = max(fitting, key=lambda each: len("".join(each)))
    return prompt[len(before) : len(prompt) - len(after)]


def their_keys(questions: Iterable[str], tasks: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """What a question of a file may be: whole first, and with ever less around it.

    Args:
        questions: All of the file. What all of them begin and end with is a frame, too.
        tasks: Of the rows.
    """
    frame = _frame({_cleaned(question) for question in questions})

    @lru_cache(maxsize=1 << 17)
    def keys(question: str) -> tuple[str, ...]:
        bared = (repaired(question), *_bared(_cleaned(question), tasks, frame))
        return tuple(dict.fromkeys(filter(None, map(normal, bared))))

    return keys


def _bared(cleaned: str, tasks: Sequence[str], frame: tuple[int, int]) -> Iterator[str]:
    yield cleaned
    yield _unwrapped(cleaned, tasks)
    yield _INSTRUCTION.sub("", cleaned)
    named = _NAMED.findall(cleaned)
    if len(named) == 1:
        yield named[0][1]
    start, end = frame
    if start or end:
        within = cleaned[start : len(cleaned) - end]
        yield within
        yield _INSTRUCTION.sub("", within)


def _frame(questions: set[str]) -> tuple[int, int]:
    """How many characters all questions begin and end with, in whole words."""
    if len(questions) < 2:
        return 0, 0
    start = _in_common(questions)
    return start, _in_common(text[start:][::-1] for text in questions)


def _in_common(texts: Iterable[str]) -> int:
    """How many characters all texts begin with, up to the last end of a word."""
    ordered = sorted(texts)
    prefix = ordered[0]
    for n, (one, other) in enumerate(zip(ordered[0], ordered[-1], strict=False)):
        if one != other:
            prefix = prefix[:n]
            break
    return len(re.sub(r"\w*$", "", prefix))
