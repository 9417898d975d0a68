"""Shared vocabulary and pure domain of gshare: rectangles of a GPU, packing, leases."""
