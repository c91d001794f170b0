"""The sample as each release lies on disk: one writer a source, named as its reader."""
