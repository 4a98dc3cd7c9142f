"""Batch scoring: resumable runs over files and databases."""
