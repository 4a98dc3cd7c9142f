"""Checks of the order lines as a source has them: what was read, and silent faults."""
