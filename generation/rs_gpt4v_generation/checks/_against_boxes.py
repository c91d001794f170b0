"""Claims against the boxes: counts, presence and absence, places, relations."""

from collections.abc import Iterable, Sequence
from itertools import combinations, product

from rs_gpt4v import spatial
from rs_gpt4v.boxes import Points
from rs_gpt4v.object_classes import counted
from rs_gpt4v.spatial import Truth
from rs_gpt4v_generation.checks._verdict import Check, Result, Verdict
from rs_gpt4v_generation.claims import Claim, Number
from rs_gpt4v_generation.facts import FactSheet

MOST_COMPARED = 100_000
"""Of more combinations of objects a relation is left open: it tells nothing, and takes seconds."""


def judge(claim: Claim, sheet: FactSheet, turn: int) -> Verdict:
    """Whether the boxes of ``sheet`` make a claim true."""
    return _JUDGES[claim.kind](claim, sheet, turn)


def _boxes(sheet: FactSheet, names: Iterable[str]) -> tuple[Points, ...]:
    return tuple(item.points for name in dict.fromkeys(names) for item in sheet.of(name))


def _verdict(
    check: Check, claim: Claim, truth: Truth, turn: int, rule: str, boxes: tuple[Points, ...]
) -> Verdict:
    denied = "denied: " if claim.negated and check != "absence" else ""
    return Verdict(check, _result(claim, truth), turn, claim.sentence, denied + rule, boxes)


def _result(claim: Claim, truth: Truth) -> Result:
    """What is only supposed cannot fail."""
    if truth is None:
        return "cannot tell"
    if truth is not claim.negated:
        return "pass"
    return "cannot tell" if claim.unsure else "fail"


def _presence(claim: Claim, sheet: FactSheet, turn: int) -> Verdict:
    """Only part of a class may be denied: "no white ships" where there are ships."""
    name = claim.names[0]
    boxes = _boxes(sheet, claim.names)
    truth = None if claim.negated and claim.part and boxes else bool(boxes)
    check: Check = "absence" if claim.negated else "presence"
    rule = f"{counted(len(boxes), name)} annotated"
    return _verdict(check, claim, truth, turn, rule, boxes)


def _count(claim: Claim, sheet: FactSheet, turn: int) -> Verdict:
    name = claim.names[0]
    items = sheet.of(name)
    least = most = len(items)
    if claim.place and claim.place != "compass":
        there = [spatial.lies(item.points, claim.place, sheet.size) for item in items]
        least, most = there.count(True), len(items) - there.count(False)
    stated = claim.number or Number(0)
    truth = _counted(stated, least, most, part=claim.part or claim.place == "compass")
    where = f", {least} to {most} {claim.place}" if claim.place else ""
    rule = f"{stated.bound} {stated.value} said; {counted(len(items), name)} annotated{where}"
    return _verdict("counts", claim, truth, turn, rule, _boxes(sheet, claim.names))


def _counted(stated: Number, least: int, most: int, *, part: bool) -> Truth:
    """Whether a number fits ``least`` to ``most`` objects, or some part of them.

    What only bounds a number can be refuted, not confirmed; "about" neither.
    """
    if stated.bound == "about":
        return None
    if stated.bound == "at least":
        return False if most < stated.value else None
    if stated.bound == "at most":
        return False if least > stated.value and not part else None
    if stated.value > most or (stated.value < least and not part):
        return False
    return True if least == most == stated.value else None


def _place(claim: Claim, sheet: FactSheet, turn: int) -> Verdict:
    items = [item for name in claim.names for item in sheet.of(name)]
    truth: Truth = None
    if items and claim.place != "compass":
        there = [spatial.lies(item.points, claim.place, sheet.size) for item in items]
        truth = _quantified(claim, there)
    cells = ", ".join(f"{item.title} {item.place}" for item in items[:5])
    rule = f"said to be {claim.place}; annotated: {cells or 'none'}"
    return _verdict("places", claim, truth, turn, rule, _boxes(sheet, claim.names))


def _quantified(claim: Claim, truths: Sequence[Truth]) -> Truth:
    """One truth out of each object's: of all, of any, or the one that all share.

    Where nobody knows which objects are meant, they must agree.
    """
    if claim.every or claim.part:
        held, failed = spatial.every(truths), spatial.some(truths)
        return held or (failed if failed is False else None)
    return spatial.some(truths)


def _relation(claim: Claim, sheet: FactSheet, turn: int) -> Verdict:
    subjects = [item.points for name in claim.names for item in sheet.of(name)]
    sides = _object_sides(claim, sheet)
    truth: Truth = None
    if claim.relation != ("compass",) and len(subjects) * len(sides) <= MOST_COMPARED:
        each = [
            spatial.some(_holds(claim, subject, side, sheet.size) for side in others)
            for subject in subjects
            if (others := [side for side in sides if subject not in side])
        ]
        truth = _quantified(claim, each) if each else None
    names = (*claim.names, *claim.others)
    rule = f"said to be {' and '.join(claim.relation)} {' and '.join(claim.others)}, by the centres"
    return _verdict("relations", claim, truth, turn, rule, _boxes(sheet, names))


def _object_sides(claim: Claim, sheet: FactSheet) -> list[tuple[Points, ...]]:
    """What each object may be related to: one box, or of "between" two."""
    each = [[item.points for item in sheet.of(name)] for name in claim.others]
    if claim.relation != ("between",):
        return [(points,) for points in each[0]]
    return list(product(*each)) if len(each) == 2 else list(combinations(each[0], 2))


def _holds(claim: Claim, subject: Points, others: tuple[Points, ...], size: spatial.Size) -> Truth:
    words = claim.relation
    if words == ("between",):
        return spatial.between(subject, others[0], others[1], size)
    if words[0] in ("near", "far"):
        truth = spatial.near(subject, others[0], size)
        return truth if truth is None or words[0] == "near" else not truth
    directions: list[spatial.Direction] = [way for way in spatial.DIRECTIONS if way in words]
    return spatial.every(spatial.holds(subject, way, others[0], size) for way in directions)


_JUDGES = {"count": _count, "presence": _presence, "place": _place, "relation": _relation}
