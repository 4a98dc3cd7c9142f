"""Files, databases and records in, validated order histories out; time."""
