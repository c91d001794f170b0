"""Verbs on results: one model on every task, results of others, and a board of many."""

import typer

app = typer.Typer()
