"""Other evaluation harnesses: the tasks written for them, and what reads their results."""

from rs_gpt4v_builders.export import Format
from rs_gpt4v_evaluation.harnesses import _lmms_eval_export, _vlmevalkit_export
from rs_gpt4v_evaluation.harnesses.splits import test_splits

HARNESSES = {
    format.name: format
    for format in (
        Format("lmms_eval", _lmms_eval_export.write, chosen=test_splits),
        Format("vlmevalkit", _vlmevalkit_export.write, chosen=test_splits),
    )
}
"""Formats of test rows, for `rs_gpt4v_builders.export.export`."""
