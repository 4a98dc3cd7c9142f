"""Settings: the schema with its defaults and rules, and the shipped YAML files."""
