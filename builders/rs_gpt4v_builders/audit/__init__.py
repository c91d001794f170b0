"""`rs-gpt4v audit`: images, questions and rows that are where they should not be."""
