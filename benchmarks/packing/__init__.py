"""How full GPUs get, and what a decision costs, in each mode and with plain rectangles."""
