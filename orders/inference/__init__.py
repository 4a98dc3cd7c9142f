"""Inference: what the columns of an unknown order file are, from the values in them."""
