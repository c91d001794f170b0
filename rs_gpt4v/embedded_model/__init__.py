"""A small LLaVA that sees the sample's synthetic scenes, for trying everything out on a CPU.

Its checkpoint lies beside this file; README.md there is its model card. It knows no real image.
"""

from pathlib import Path

NAME = "embedded"
"""What ``rs-gpt4v predict`` and ``train`` call it."""

FOLDER = Path(__file__).parent


def checkpoint(model: str) -> str:
    """The folder of the embedded model where ``model`` is its name, else ``model``."""
    return str(FOLDER) if model == NAME else model
