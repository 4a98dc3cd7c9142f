"""The gate: may a candidate become champion?"""
