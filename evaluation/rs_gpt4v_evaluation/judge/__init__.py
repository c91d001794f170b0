"""A strong model judges conversations and descriptions: scores, and comparisons of two models."""

from rs_gpt4v_evaluation.judge.asking import Judge
from rs_gpt4v_evaluation.judge.pairwise import Comparison, Duel, compare_files, comparison
from rs_gpt4v_evaluation.judge.pointwise import (
    JudgeScore,
    judge_files,
    judge_scores,
    judged_lines,
    scores_of,
)
from rs_gpt4v_evaluation.judge.replies import read_choice, read_score
from rs_gpt4v_evaluation.judge.shown import foreseen, shown_comparison, shown_scores

__all__ = [
    "Comparison",
    "Duel",
    "Judge",
    "JudgeScore",
    "compare_files",
    "comparison",
    "foreseen",
    "judge_files",
    "judge_scores",
    "judged_lines",
    "read_choice",
    "read_score",
    "scores_of",
    "shown_comparison",
    "shown_scores",
]
