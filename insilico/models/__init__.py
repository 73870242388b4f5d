"""Architectures, checkpoints, importers of published weights, and the zoo."""
