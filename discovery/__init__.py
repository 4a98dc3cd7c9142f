"""What an unknown order file holds: a configuration for it, and its silent faults."""
