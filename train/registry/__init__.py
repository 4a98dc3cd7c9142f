"""Runs and model versions in MLflow: tracking, promotion, rollback."""
