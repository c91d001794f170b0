"""`python -m rs_gpt4v.cli`."""

from rs_gpt4v.cli import main

main()
