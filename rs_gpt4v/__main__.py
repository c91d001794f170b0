"""`python -m rs_gpt4v`, as `rs-gpt4v`."""

from rs_gpt4v.cli import main

main()
