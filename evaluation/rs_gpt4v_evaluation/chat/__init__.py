"""A local page to try a model: drop an image, ask, and see the boxes of the answer on it."""
