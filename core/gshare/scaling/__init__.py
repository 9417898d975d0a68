"""How many replicas of which shape a function needs: policies, hysteresis, sizing. Pure."""
