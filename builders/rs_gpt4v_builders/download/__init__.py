"""`rs-gpt4v download`: what has a stable public address, fetched, checked and unpacked."""
