"""Other evaluation harnesses: the tasks written for them, and what reads their results."""
