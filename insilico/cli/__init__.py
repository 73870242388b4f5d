"""The command line: thin commands that parse, call and save."""

from insilico.cli.app import main

__all__ = ["main"]
