"""Bounded model fits with standard errors and a status for every neuron."""
