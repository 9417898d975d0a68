"""The model store: one copy of a model's weights on each GPU, shared by its replicas."""
