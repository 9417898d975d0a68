"""Counts replicas per Deployment from profiles and request rates, and answers HPAs."""
