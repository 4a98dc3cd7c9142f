"""Fitting buy-till-you-die models."""
