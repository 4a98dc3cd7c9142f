"""Reading: the columns, cells and lines of a source become validated orders."""
