"""Runs and versions in MLflow: tracking, promotion, rollback."""
