"""Discovery: what an unknown order file holds: the configuration that init writes, silent faults."""
