"""Configuration: YAML files a user copies and edits, and the schema that reads them."""
