"""An example model server: HTTP in front, CUDA driver calls behind."""
