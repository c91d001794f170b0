"""A strong model judges conversations and descriptions: scores, and comparisons of two models."""

from rs_gpt4v_evaluation.judge.asking import Judge
from rs_gpt4v_evaluation.judge.pairwise import Comparison, compare_files, comparison
from rs_gpt4v_evaluation.judge.pointwise import JudgeScore, judge_files, judge_scores
from rs_gpt4v_evaluation.judge.replies import read_choice, read_score

__all__ = [
    "Comparison",
    "Judge",
    "JudgeScore",
    "compare_files",
    "comparison",
    "judge_files",
    "judge_scores",
    "read_choice",
    "read_score",
]
