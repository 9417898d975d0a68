"""Scaling on a cluster of its own, with autoscaler and Prometheus: one for all tests here."""
