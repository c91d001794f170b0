"""Manual correction of generated dialogues: a local page, one file of decisions a reviewer.

``candidates`` reads the queue, ``decisions`` keeps what a reviewer decided, ``desk`` answers what
the page asks, ``server`` speaks HTTP on this machine alone, ``pictures`` makes what a browser can
show, ``agreement`` compares two reviewers and ``reconcile`` settles on the final dialogues.
"""
