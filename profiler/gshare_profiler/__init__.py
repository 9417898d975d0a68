"""Measures a function: throughput and latency over the grid of SM partition and quota."""
