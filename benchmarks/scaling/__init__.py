"""Replays of two traces in virtual time, with gshare's planner, controller and packer. No GPU."""
