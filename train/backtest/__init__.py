"""Backtests: the model and the baselines at past cutoffs."""
