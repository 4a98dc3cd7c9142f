"""Orders: from files, databases and records to packed order histories; time."""
