"""The published releases: one module reads one, into records."""
