"""Reading: columns, cells and lines of a source to validated orders."""
