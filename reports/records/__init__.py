"""Records of cells: made, sealed, read, stored, packed and published."""
