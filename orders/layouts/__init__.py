"""Layouts: how platforms write their order exports, one YAML file per platform."""
