"""Measures what one copy of a model's weights per GPU saves, and what it costs to take it.

`python -m benchmarks.modelstore` runs the product as a user does: `gshare up` with the example
server on a simulated V100 for memory, and for times programs of ours under a lease of such a run,
or on a store of its own without a GPU. All but GPU memory and copies to the GPU is real.
"""
