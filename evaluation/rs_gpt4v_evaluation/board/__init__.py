"""A board: what many models score on every task, on one static page with a file of its numbers."""
