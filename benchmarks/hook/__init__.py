"""Measures what enforcement costs: the hook a call, a token's hand-over, the daemon, start-up.

`python -m benchmarks.hook` runs the product's hook and token daemon. Calls are timed on a driver
that does nothing (null_driver.c), where a nanosecond shows; allocations, and all that needs a GPU
which takes time, on the simulated one.
"""
