"""Measured comparisons; each is one command that writes build/bench/<name>.json."""
