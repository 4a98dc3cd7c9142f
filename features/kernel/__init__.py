"""The compiled kernel: one sweep over a customer's lines for all cutoffs."""
