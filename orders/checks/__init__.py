"""Checks of the order lines as a source has them: silent faults, and what was read, for comparison."""
