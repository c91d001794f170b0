"""Instruction-response generation: facts, prompts, replies, checks, negatives, review.

``facts`` says in words and numbers what the boxes of an image tell, ``prompts`` makes the request
to a model, ``replies`` reads its answer, ``checks`` compares what it says with the boxes and
``negatives`` makes questions about what is not there: none of them opens a connection. ``review``
is the page on which people correct what was generated.
"""
