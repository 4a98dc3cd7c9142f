"""Forecasts over HTTP: the scorer behind limits, tokens, metrics and logs."""
