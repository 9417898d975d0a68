"""What gshare's parts leave for each other on API objects.

A node's inventory, a pod's placement, what of it a node has changed since, and the models that its
GPUs keep. Each is JSON in one annotation, written by one part and read by all (`codec`). Positions
are not written: a layout follows from the set of functions on a GPU, and may change whenever
another function comes.
"""

from .codec import (
    MOST_GPUS,
    decode_in_force,
    decode_inventory,
    decode_mode,
    decode_placement,
    decode_resident,
    encode_in_force,
    encode_inventory,
    encode_placement,
    encode_resident,
)
from .values import NodeGpu, PodPlacement, Standing, Terms, place_on

__all__ = [
    "MOST_GPUS",
    "NodeGpu",
    "PodPlacement",
    "Standing",
    "Terms",
    "decode_in_force",
    "decode_inventory",
    "decode_mode",
    "decode_placement",
    "decode_resident",
    "encode_in_force",
    "encode_inventory",
    "encode_placement",
    "encode_resident",
    "place_on",
]
