"""Checks of data that need features: fitness, leakage, recurring charges."""
