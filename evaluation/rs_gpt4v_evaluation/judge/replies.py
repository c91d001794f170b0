r"""What a judge's reply says: its score or its choice, or why it says none.

A judge is asked for JSON, and answers as it likes. A score is taken only where the reply states it
as one: in JSON, after "Score:", as "8/10" on a line of its own or behind "I rate it", or as a last
line that is nothing but a number. A number in the prose ("3 ships") is never taken, and of several
scores that differ none is: a wrong score is worse than none, for the judge can be asked again.

    >>> read_score('{"reason": "Two of 3 ships are missed.", "score": 4}')
    Read(value=4.0, reason='Two of 3 ships are missed.')
    >>> read_score("It names 3 ships, as the reference does.\n**Score:** 8.5")
    Read(value=8.5, reason='It names 3 ships, as the reference does.\n**Score:** 8.5')
    >>> read_score("Score: 7-8").reason
    "'7-8' is a range, not one score"
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from rs_gpt4v.chat_api.answers import shown
from rs_gpt4v.files import printable
from rs_gpt4v_evaluation.rs_judge.measure import HIGHEST, LOWEST

CHOICES = ("first", "second", "tie")


class Read(NamedTuple):
    """A score or choice and the judge's reason for it, or None and what is wrong with the reply."""

    value: Any
    reason: str


LONGEST = 100_000
"""Characters of a reply, thoughts aside; a longer one is not searched for a verdict."""

_STRAY_BRACES = 100  # that begin no JSON; after so many, the rest is taken for prose
_DASH = "[-\u2010-\u2015\u2212]"  # hyphens, dashes and the minus sign
_JUNK = r"[\s>*_#`'\"{\[(|]{0,20}"  # what Markdown and JSON put around a word or a number
_DIGITS = r"[0-9]+(?:\.[0-9]+)?"
_NUMBER = rf"{_DASH}?{_DIGITS}"
_JOINT = rf"(?:{_DASH}|~|to\b|or\b|and\b|/|,(?=[0-9])|\.\.+|(?:out[ ]+)?of\b)"
# All that may belong to the number: read with it, so that a part of it is never taken for it.
_STATED = (
    rf"(?P<score>{_NUMBER}"
    rf"(?:[ \t]*{_JOINT}[ \t]*{_DIGITS}|[ \t]+{_DIGITS})*"
    r"(?:[ \t]*[%\u00bc-\u00be]|[ ]+and[ ]+a[ ]+half|[a-z]+)?)"
)
_QUALIFIER = r"(?:(?:final|overall|total|my|the|assigned|numeric(?:al)?)\s+){0,5}"
_SCALE = rf"(?:\s*\(\s*[0-9]+\s*(?:{_DASH}|to)\s*[0-9]+\s*\)|\s*\(\s*out of\s+[0-9]+\s*\))?"
_LABEL = rf"{_QUALIFIER}(?:score|rating|grade|overall|verdict)"
_CLAUSE = rf"(?:^|(?<=[.!?;:])\s){_JUNK}(?:(?:[0-9]+[.)]|[-+\u2022])\s+{_JUNK})?"
_END = r"(?=\s*(?:$|[.,](?![0-9])|[;:!?)\]}*_`'\"|(]|because\b|for\b|since\b|as\b))"

_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.MULTILINE)
    for form in (
        # Score: 8, **Final score:** 8/10, "score": 8, Rating (1-10) = [[8]]
        rf"{_CLAUSE}{_LABEL}{_SCALE}[*_`'\"]*\s*(?:[:=\uff1a]|{_DASH}\s){_JUNK}{_STATED}",
        # The score is 8
        r"\b(?:the|my|final|overall|total)\s+(?:score|rating)\s+(?:is|would be)"
        rf"{_JUNK}{_STATED}{_END}",
        # I give it a score of 8
        rf"\b(?:give|assign|award|deserves?|earns?|merits?|rate)\b[^.\n0-9]{{0,60}}?\b"
        rf"(?:score|rating|grade)\s+of{_JUNK}{_STATED}",
        # I rate it 8/10
        rf"\b(?:i(?:'d|\u2019d| would| will)?\s+give|rate|assign|award|deserves?|merits?|scores)\b"
        rf"[^.\n0-9]{{0,60}}?{_JUNK}(?P<score>{_NUMBER}\s*(?:/|out\s+of)\s*{_NUMBER}){_END}",
        # 8/10, at the head of a line
        rf"^{_JUNK}(?P<score>{_NUMBER}\s*(?:/|out\s+of)\s*{_NUMBER}){_END}",
    )
)
# Nothing but a number, as the whole reply or its last line.
_BARE = re.compile(rf"{_JUNK}{_STATED}(?:\s*points?)?[\s*_`'\"\])}}|.]*", re.IGNORECASE)
_ONE = re.compile(rf"(?P<number>{_NUMBER})(?:\s*(?:/|out\s+of)\s*(?P<scale>{_NUMBER}))?")
_THOUGHT = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_REFUSAL = re.compile(
    rf"{_JUNK}(?:(?:i[' \u2019]?a?m\s+)?(?:very\s+)?sorry\b"
    r"|i\s+(?:can(?:no|')?t|can\u2019t|won't)\b|i(?:'m|\u2019m| am)\s+(?:unable|not able)\b"
    r"|as an ai\b|unfortunately\b)",
    re.IGNORECASE,
)


def read_score(reply: str) -> Read:
    """The one score from 1 to 10 that ``reply`` states, and the judge's reason for it."""
    text = _without_thoughts(reply)
    if len(text) > LONGEST:
        return Read(None, f"the reply has {len(text):,} characters, more than are read")
    objects, prose = _json_objects(text)
    scores = [_json_score(item["score"]) for item in objects if "score" in item]
    scores += [_plain_score(stated) for stated in _stated(prose)]
    if not scores:
        return Read(None, _nothing_found(text, "no score"))
    for score in scores:
        if isinstance(score, str):
            return Read(None, score)
    if len(set(scores)) > 1:
        values = shown(", ".join(f"{value:g}" for value in dict.fromkeys(scores)))
        return Read(None, f"the reply states several scores: {values}")
    return Read(scores[0], _reason(objects, text))


def read_choice(reply: str) -> Read:
    """Which answer ``reply`` prefers, "first", "second" or "tie", and the judge's reason for it.

    >>> read_choice('{"reason": "Only the second counts right.", "better": "second"}').value
    'second'
    >>> read_choice("**Better:** tie").value
    'tie'
    >>> read_choice("Both answers are fine.")
    Read(value=None, reason='no choice in the reply')
    """
    text = _without_thoughts(reply)
    if len(text) > LONGEST:
        return Read(None, f"the reply has {len(text):,} characters, more than are read")
    objects, prose = _json_objects(text)
    choices = [_as_text(item["better"]).strip().casefold() for item in objects if "better" in item]
    label = rf"{_CLAUSE}better(?:\s+answer)?[*_`'\"]*\s*[:=]{_JUNK}([a-z]+)"
    choices += [word.casefold() for word in re.findall(label, prose, re.IGNORECASE | re.MULTILINE)]
    if not choices:
        return Read(None, _nothing_found(text, "no choice"))
    if len(set(choices)) > 1:
        values = shown(", ".join(dict.fromkeys(choices)))
        return Read(None, f"the reply states several choices: {values}")
    if choices[0] not in CHOICES:
        return Read(None, f"{shown(choices[0])!r} is none of {', '.join(CHOICES)}")
    return Read(choices[0], _reason(objects, text))


def _without_thoughts(reply: str) -> str:
    """The reply without the thoughts that a reasoning model may put before it."""
    text = _THOUGHT.split(reply)[-1].strip()
    return "" if re.match("<think", text, re.IGNORECASE) else text


def _nothing_found(text: str, missing: str) -> str:
    if not text:
        return "the reply is empty"
    if _REFUSAL.match(text):
        return f"the judge declined: {text[:80]!r}"
    return f"{missing} in the reply"


def _reason(objects: list[dict[str, Any]], text: str) -> str:
    """What the JSON gives as its reason; without one, the whole reply."""
    reasons = [item["reason"] for item in objects if isinstance(item.get("reason"), str)]
    reason = reasons[0].strip() if reasons else text
    return printable(reason)


# --- JSON ----------------------------------------------------------------------------------------


def _json_objects(text: str) -> tuple[list[dict[str, Any]], str]:
    """Every JSON object of ``text``, inner and repeated keys apart, and the text without them."""
    objects: list[dict[str, Any]] = []
    prose: list[str] = []
    place = stray = 0
    while stray < _STRAY_BRACES and (brace := text.find("{", place)) >= 0:
        found, end = _decoded(text, brace)
        objects += found
        stray += not found
        prose.append(text[place:brace] if found else text[place:end])
        place = end
    return objects, "".join(prose) + text[place:]


def _decoded(text: str, start: int) -> tuple[list[dict[str, Any]], int]:
    """The objects of the JSON at ``start`` and where it ends; none if it is no JSON."""
    objects: list[dict[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # An object for each pair: of a key that occurs twice neither value may get lost.
        objects.extend({key.strip().casefold(): value} for key, value in pairs)
        return {}

    try:
        _, end = json.JSONDecoder(object_pairs_hook=keep).raw_decode(text, start)
    except (ValueError, RecursionError):
        return [], start + 1
    return objects, end


def _json_score(value: object) -> float | str:
    """The score in a JSON value, or what is wrong with it."""
    if isinstance(value, str):
        bare = _BARE.fullmatch(value.strip())
        return _plain_score(bare["score"]) if bare else f"score is {value[:40]!r}, not a number"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"score is {_as_text(value)}, not a number"
    return _in_range(value)


def _as_text(value: object) -> str:
    """A value of JSON; a list may be nested too deeply to be written."""
    if isinstance(value, list):
        return "a list"
    return value if isinstance(value, str) else json.dumps(value)


# --- Prose ---------------------------------------------------------------------------------------


def _stated(prose: str) -> Iterator[str]:
    """Each statement of a score, as it is written: "8", "8.5/10", "7-8"."""
    forms = [match["score"] for form in _FORMS for match in form.finditer(prose)]
    yield from forms
    *before, last = [line for line in prose.splitlines() if line.strip(" \t`")] or [""]
    # A number below "How many ships there are:" answers that.
    announced = bool(before) and before[-1].rstrip(" *_`").endswith(":")
    if not forms and not announced and (bare := _BARE.fullmatch(last.strip())):
        yield bare["score"]


def _plain_score(stated: str) -> float | str:
    """The score in a statement, or what is wrong with it.

    >>> _plain_score("8 out of 10"), _plain_score("4/5")
    (8.0, "'4/5' is not out of 10")
    """
    match = _ONE.fullmatch(stated)
    stated = stated[:40]
    if not match:
        is_range = re.search(
            rf"[0-9]\s*(?:{_DASH}|~|to|or|and|\.\.)[ \t]*[0-9]", stated, re.IGNORECASE
        )
        return f"{stated!r} is {'a range, not one score' if is_range else 'no score'}"
    if match["scale"] and float(match["scale"]) != HIGHEST:
        return f"{stated!r} is not out of {HIGHEST}"
    return _in_range(float(re.sub(_DASH, "-", match["number"])))


def _in_range(score: float) -> float | str:
    if not LOWEST <= score <= HIGHEST:
        return f"{str(score)[:20].removesuffix('.0')} is outside {LOWEST}-{HIGHEST}"
    return float(score)
