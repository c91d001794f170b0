"""Manual correction of generated dialogues: a local page, one file of decisions a reviewer.

``session`` holds a queue and one reviewer's decisions (``decisions``), ``server`` shows it on a
page of this machine, and ``reconcile`` settles on the final dialogues.
"""
