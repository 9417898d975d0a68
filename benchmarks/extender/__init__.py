"""What the extender costs at 5,000 nodes of 8 GPUs: `make bench-extender`."""
