"""Other evaluation harnesses: the tasks written for them, and what reads their results."""

from rs_gpt4v_builders.export import Format
from rs_gpt4v_evaluation.harnesses import lmms_eval, vlmevalkit
from rs_gpt4v_evaluation.harnesses.splits import test_splits

HARNESSES = {
    "lmms_eval": Format("lmms_eval", lmms_eval.write, chosen=test_splits),
    "vlmevalkit": Format("vlmevalkit", vlmevalkit.write, chosen=test_splits),
}
"""Formats of test rows, for `rs_gpt4v_builders.export.export`."""
