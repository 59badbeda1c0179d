"""One schema change per file, numbered."""
