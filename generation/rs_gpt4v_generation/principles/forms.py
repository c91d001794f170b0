"""What kind of question an instruction asks, by plain rules on its English."""

import re

from rs_gpt4v_generation.claims import sentences

FORMS = ("yes/no", "how many", "where", "which", "what", "reasoning", "describe", "other")

_POLITE = re.compile(
    r"^\s*(?:please,?\s+)?(?:(?:can|could|would|will) you (?:please )?(?:tell me |say )?|"
    r"(?:do you know|i wonder|tell me),? )?(?:please,? )?",
    re.IGNORECASE,
)
_CLOSED = re.compile(
    r"(?:is|are|was|were|does|do|did|has|have|had|can|could|would|will|should|am"
    r"|isn't|aren't|doesn't|don't)\b"
)
_ANY = re.compile(r"(?:is|are|was|were) there\b|.*\b(?:any|either)\b")
_RULES = (
    ("where", r"\b(?:which|what) region\b"),
    (
        "describe",
        r"\b(?:describe|caption|summari[sz]e|depict|portray|description|summary)\b"
        r"|\b(?:one|single) (?:short |concise )?(?:sentence|phrase)\b|\ba phrase\b|one-sentence"
        r"|what (?:does|do) (?:this|the|these) (?:[\w-]+ ){0,4}(?:image|picture|photo\w*) show"
        r"|what (?:do you|can you|can be) see|\brefer to\b",
    ),
    ("where", r"\bbounding box\b|\bcoordinates\b|\bits box\b|\bthe box around\b"),
    ("reasoning", r"\bwhy\b|\bhow come\b|\b(?:explain|infer|inferred|deduce|conclude)\b"),
    ("how many", r"\bhow (?:many|much|numerous)\b|\b(?:number|amount|quantity) of\b|^count\b"),
    (
        "reasoning",
        r"\bhow\b|\bwhat (?:might|could|would|may)\b|\b(?:suggests?|indicates?|impl(?:y|ies))\b"
        r"|\b(?:purpose|reason|role|function|significance|advantage|likely)s?\b|\bused for\b",
    ),
    (
        "where",
        r"\bwhere\b|\b(?:position|location)\b|^(?:locate|find|detect|mark|ground|search|point)\b"
        r"|\b(?:what|which) (?:part|side|corner|area|direction|quadrant|section)\b",
    ),
    ("which", r"\bwhich\b"),
    ("what", r"\b(?:what|what's|who|when)\b"),
)
_COMPILED = tuple((form, re.compile(rule)) for form, rule in _RULES)


def form(question: str) -> str:
    """One of `FORMS`: that of the first sentence with a question mark, or of the whole text.

    A question that opens with a verb is "yes/no", but "which" where it offers a choice. "Why",
    "how" other than "how many", and what something suggests or is for are "reasoning".

    >>> [form(q) for q in ("Is there a ship?", "Is it a rural or an urban area?")]
    ['yes/no', 'which']
    >>> form("How might the harbor affect the town?"), form("Provide a caption for this image.")
    ('reasoning', 'describe')
    """
    sentence = next(
        (s for s in sentences(question) if s.rstrip("\"'\u201d) ").endswith("?")), question
    )
    bare = _POLITE.sub("", sentence.lower())
    if _CLOSED.match(bare):
        return "which" if " or " in bare and not _ANY.match(bare) else "yes/no"
    return next((name for name, rule in _COMPILED if rule.search(bare)), "other")
