"""Selectivity indices, permutation tests and correlations, seeded and vectorized over neurons."""
