"""Orders in, one row per customer and cutoff out.

Knows no model and no MLflow.
"""
