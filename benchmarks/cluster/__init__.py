"""Pods per second of a real kube-scheduler, with gshare's extender and without it."""
