"""Measures a function: throughput and latency over the grid of SM partition and quota.

Trials run on a `site.Site`: this machine and clusters are brought by the command line. `campaign`
runs them in the order of a `design`, `journal` keeps what is done, `result` makes the profile.
"""
