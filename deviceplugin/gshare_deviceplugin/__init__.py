"""The node agent: device plugin, leases, GPU inventory, MPS and token daemons of one node."""
