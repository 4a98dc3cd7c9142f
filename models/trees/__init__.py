"""Boosted trees: LightGBM's text, checks of it, a fast scorer."""
