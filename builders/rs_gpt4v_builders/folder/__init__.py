"""A user's own files: layouts that annotation tools write, read as records."""
