"""From a model to predictions, from predictions to scores, from scores to a report."""
