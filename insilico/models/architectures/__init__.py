"""Whole networks, one family a file: options, small examples, and what it is made of."""
