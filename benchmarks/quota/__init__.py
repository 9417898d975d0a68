"""Measures the shares that leases get against those that they were promised.

`python -m benchmarks.quota` runs the product's own token daemon and hook on simulated GPUs, under
clients that know nothing of either. The judge is the simulated GPU: it counts SM-time by client,
and knows no leases. What is run stands in `plan.py`, what is promised in `bars.py`.
"""
