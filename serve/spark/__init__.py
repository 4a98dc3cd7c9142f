"""Scoring in Spark: the same scorer, run per bucket of customers."""
