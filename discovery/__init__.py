"""Discovery: what an unknown order file holds, from its values; the configuration that init writes."""
