"""A score is taken where a reply states one, and nowhere else."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rs_gpt4v_evaluation.judge import read_choice, read_score

_SCORES = {
    "8": 8,
    "8.": 8,
    " 8\n": 8,
    "8.5": 8.5,
    "**8**": 8,
    "`8`": 8,
    "[[8]]": 8,
    "10": 10,
    "1": 1,
    "8 points": 8,
    "8/10": 8,
    "8.5 / 10": 8.5,
    "8 out of 10": 8,
    "**8/10**": 8,
    "8/10. The count is right.": 8,
    "8 out of 10, because one plane is missed.": 8,
    "Score: 8": 8,
    "score:8": 8,
    "SCORE = 8": 8,
    "Score - 8": 8,
    "Score\uff1a8": 8,
    "**Score:** 8": 8,
    "**Score**: 8": 8,
    "**Score: 8**": 8,
    "Score: **8**": 8,
    "Score: **8/10**": 8,
    "Score:\n8": 8,
    "## Score\n8": 8,
    "- Score: 8": 8,
    "\u2022 **Score**: 8": 8,
    "1. Score: 8\n2. Reason: 3 ships are missed": 8,
    "> Score: 8": 8,
    "Score (1-10): 8": 8,
    "Score (out of 10): 8": 8,
    "Score: 8 (out of 10)": 8,
    "Score: 8 points": 8,
    "Score: 8, as 3 ships are missed": 8,
    "Score: 8\n- 3 ships are missed": 8,
    "Score: 8\n\n2 ships are missed": 8,
    "Score: 8 to be fair": 8,
    "Score: 8... well": 8,
    "Score: 8\r\n": 8,
    "Final score: 8/10.": 8,
    "Overall Score: 8": 8,
    "My rating: [[8]]": 8,
    "The score is 8 because the count is wrong.": 8,
    "I give it a score of 8.": 8,
    "I would rate it 8/10.": 8,
    "The answer deserves 8 out of 10.": 8,
    "There are 3 ships, not 4. Score: 7": 7,
    "Accuracy: 8/10\nCompleteness: 6/10\nOverall: 7/10": 7,
    "Step 1: the reference has 3 ships.\nStep 2: the answer has 4 of 5 planes.\nScore: 4": 4,
    "The reference has 3 ships.\nThe answer names 4.\n\n4": 4,
    "Score: 8\nAs I said:\nScore: 8.0": 8,
    "<think>Perhaps score: 3?</think>\nScore: 8": 8,
    "so 3 or 4, not more</think>8": 8,
    '{"reason": "All right.", "score": 8}': 8,
    '{"score": 8.5, "reason": "ok"}': 8.5,
    '{"Score": 8}': 8,
    '{"score": "8"}': 8,
    '{"score": "8/10"}': 8,
    '{"verdict": {"score": 8}}': 8,
    '```json\n{"reason": "3 of 4 ships.", "score": 8}\n```': 8,
    'Here it is: {"score": 8} I hope that helps, 10 times over.': 8,
    '{"score": 8, "reason": "I would not say 3/10."}': 8,
    '{"score": 8, "reason": "The reply ends he': 8,
    'A set {1, 2} of ships. {"score": 8}': 8,
}

_NONE = {
    "": "the reply is empty",
    "<think>Score: 3, or": "the reply is empty",
    "0": "0 is outside 1-10",
    "11": "11 is outside 1-10",
    "80": "80 is outside 1-10",
    "-1": "-1 is outside 1-10",
    "Score: -1": "-1 is outside 1-10",
    "Score: \u22121": "-1 is outside 1-10",
    "Score: 0": "0 is outside 1-10",
    "Score: 0.5": "0.5 is outside 1-10",
    "Score: 10.5": "10.5 is outside 1-10",
    "12/10": "12 is outside 1-10",
    '{"score": 0}': "0 is outside 1-10",
    '{"score": -1}': "-1 is outside 1-10",
    '{"score": 80}': "80 is outside 1-10",
    '{"score": NaN}': "nan is outside 1-10",
    '{"score": Infinity}': "inf is outside 1-10",
    '{"score": 1' + 400 * "0" + "}": "is outside 1-10",
    "7-8": "'7-8' is a range",
    "7-8/10": "'7-8/10' is a range",
    "Score: 7-8": "'7-8' is a range",
    "Score: 7 \u2013 8": "is a range",
    "Score: 7 to 8": "'7 to 8' is a range",
    "Score: 7 or 8": "'7 or 8' is a range",
    "Score: 7~8": "is a range",
    "Score: 7..8": "is a range",
    '{"score": "7-8"}': "'7-8' is a range",
    "Score: 80/100": "'80/100' is not out of 10",
    "Score: 4/5": "'4/5' is not out of 10",
    "4 out of 5": "'4 out of 5' is not out of 10",
    "Score: 80%": "'80%' is no score",
    "Score: 8,5": "'8,5' is no score",
    "Score: 8\u00bd": "is no score",
    "Score: 8 and a half": "is no score",
    "Score: 8th": "'8th' is no score",
    "Score: 3 of 4": "'3 of 4' is no score",
    "Score: 8/10/2": "is no score",
    "Score: 1 0": "'1 0' is no score",
    "Score: 8\nScore: 6": "several scores: 8, 6",
    "Score: 8. I would give 6/10.": "several scores: 8, 6",
    "8/10\nOn second thought:\n6/10": "several scores: 8, 6",
    '{"score": 8, "score": 3}': "several scores: 8, 3",
    '{"score": 8} {"score": 3}': "several scores: 8, 3",
    '{"score": 8}\nScore: 3': "several scores: 8, 3",
    '{"score": null}': "score is null, not a number",
    '{"score": true}': "score is true, not a number",
    '{"score": [8]}': "not a number",
    '{"score": "eight"}': "score is 'eight', not a number",
    '{"score": "8 ships"}': "score is '8 ships', not a number",
    '{"reason": "fine"}': "no score",
    "Score: eight": "no score",
    "Score: N/A": "no score",
    "Score:": "no score",
    "The answer is good.": "no score",
    "3 ships are seen.": "no score",
    "Number of ships:\n3": "no score",
    "8 out of 10 ships are found.": "no score",
    "7/10 of the ships": "no score",
    "The answer finds 8 out of 10.": "no score",
    "The maximum score is 10.": "no score",
    "A score of 10 would name every ship.": "no score",
    "The score is 3 points lower than it could be.": "no score",
    "Accuracy score: 8": "no score",
    "I'm sorry, but I can't assist with that.": "the judge declined",
    "I cannot view images.": "the judge declined",
    "I am unable to rate this.": "the judge declined",
    "As an AI, I have no opinion.": "the judge declined",
    "{" * 2_000: "no score",
    '{"a":' * 3_000: "no score",
}


@pytest.mark.parametrize(("reply", "score"), _SCORES.items())
def test_scores(reply: str, score: float) -> None:
    read = read_score(reply)
    assert read.value == score, read.reason
    assert isinstance(read.value, float)


@pytest.mark.parametrize(("reply", "problem"), _NONE.items())
def test_replies_without_a_score_say_why(reply: str, problem: str) -> None:
    read = read_score(reply)
    assert read.value is None
    assert problem in read.reason


def test_the_reason_is_that_of_the_json_or_the_whole_reply() -> None:
    assert read_score('Well: {"reason": " All right. ", "score": 8}').reason == "All right."
    assert read_score("All right. Score: 8").reason == "All right. Score: 8"


_NUMBERS = st.one_of(st.integers(0, 2_030).map(str), st.decimals(0, 100, places=1).map(str))
_PROSE = st.sampled_from(
    [
        "{} ships are moored in the harbor.",
        "The answer counts {} planes, the reference {}.",
        "{} of the {} tanks are white.",
        "It names {} out of {} buildings.",
        "Between {} and {} cars can be seen.",
        "The runway is {} m long.",
        "{}/{} of the area is water.",
        "The image was taken in {}.",
        "{}. The colour is right.",
        "- {} roads cross",
        "About {} % of the field is bare.",
        "The highest score is {}, which this is not.",
        "A score of {} would ask for more.",
        "It scores low, for {} ships are missed.",
        "The rate is {} cars a minute.",
        "The answer gives {} courts.",
    ]
)
_SENTENCES = st.tuples(_PROSE, _NUMBERS, _NUMBERS).map(lambda parts: parts[0].format(*parts[1:]))
_TEXTS = st.lists(_SENTENCES, max_size=5).flatmap(
    lambda sentences: st.sampled_from([" ", "\n", "\n\n"]).map(lambda gap: gap.join(sentences))
)
_HALVES = st.integers(2, 20).map(lambda half: half / 2)
_STATEMENTS = ["Score: {:g}", "**Score:** {:g}/10", '{{"reason": "so", "score": {:g}}}', "{:g}/10"]


@given(_TEXTS)
def test_no_number_of_the_prose_is_a_score(prose: str) -> None:
    assert read_score(prose).value is None


@given(_TEXTS, _TEXTS, _HALVES, st.sampled_from(_STATEMENTS))
def test_a_stated_score_is_found_in_any_prose(
    before: str, after: str, score: float, form: str
) -> None:
    assert read_score(f"{before}\n{form.format(score)}\n{after}").value == score


@given(st.text())
@example("\u0663")  # a digit, but of another script
@example("Score: \u0663")
@example("<think>")
def test_any_reply_has_a_score_in_range_or_a_reason(reply: str) -> None:
    read = read_score(reply)
    assert read.reason if read.value is None else 1 <= read.value <= 10


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ('{"reason": "Only it counts right.", "better": "first"}', "first"),
        ('```json\n{"better": "Second"}\n```', "second"),
        ("**Better:** tie", "tie"),
        ("The first has 3 ships, the second 4. Better: second", "second"),
    ],
)
def test_choices(reply: str, choice: str) -> None:
    assert read_choice(reply).value == choice


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("The first answer is right.", "no choice"),
        ('{"better": "A"}', "'a' is none of first, second, tie"),
        ('{"better": null}', "'null' is none of"),
        ('{"better": "first"} {"better": "tie"}', "several choices: first, tie"),
        ("I can't assist with that.", "the judge declined"),
        ("", "the reply is empty"),
    ],
)
def test_replies_without_a_choice_say_why(reply: str, problem: str) -> None:
    read = read_choice(reply)
    assert read.value is None
    assert problem in read.reason
