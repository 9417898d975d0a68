"""Programs that the benchmark starts; run by path, with the client's package alone."""
