"""Scoring in Spark."""
