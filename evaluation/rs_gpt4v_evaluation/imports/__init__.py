"""Results of others as predictions files: read, matched with the rows of a split, and written.

`read_results` reads a file in the layout of who wrote it, and `import_results` makes predictions of
it: of the rows that `match` finds, or, without rows, with the truth that the results state.
"""

from rs_gpt4v_evaluation.imports.formats import ImportingError
from rs_gpt4v_evaluation.imports.importing import Import, import_results
from rs_gpt4v_evaluation.imports.reading import is_exported, read_results, with_questions

__all__ = [
    "Import",
    "ImportingError",
    "import_results",
    "is_exported",
    "read_results",
    "with_questions",
]
