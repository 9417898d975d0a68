"""Manifests that follow from a profile or from a FaSTPod: Deployments, HPAs, Services. Pure."""
