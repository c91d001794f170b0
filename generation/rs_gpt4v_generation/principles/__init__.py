"""`rs-gpt4v principles`: the paper's six design principles (section 3.1), measured on any rows."""
