"""RS-GPT4V: remote-sensing conversations for `datasets`, `trl` and `evaluate`.

``import rs_gpt4v`` makes ``datasets.load_dataset("rs_gpt4v", CONFIG)`` work. It imports nothing
heavy itself: the registration runs when `datasets` is imported, before or after this package.
"""

import sys

# Waits for `datasets`.
import rs_gpt4v_startup  # noqa: F401  # pyright: ignore[reportUnusedImport]

__version__ = "0.1.0"

NAME = "rs_gpt4v"
"""What ``load_dataset`` calls this package's data."""

if "datasets" in sys.modules:
    from rs_gpt4v.registration import register

    register()
