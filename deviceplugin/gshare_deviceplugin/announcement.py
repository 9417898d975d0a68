"""Writes the node's inventory on its Node object: the one thing that the agent writes to the API.

The annotation is replaced whole by a merge patch, so every write is safe to repeat. It is compared
with what stands there every CHECK_S, and put right if somebody changed it. An agent that stops
says so of its GPUs: the kubelet fails pods for good that come while it is away.
"""

import logging
import time
from dataclasses import replace
from typing import Final
from urllib.parse import quote

import msgspec

from gshare import names
from gshare.annotations import encode_inventory
from gshare.runtime.kube import ApiError, ApiServer, Node

from .inventory import Inventory
from .upkeep import Upkeep

CHECK_S: Final = 180.0
STOPPED: Final = "the node's agent has stopped"
_WRITE_S: Final = 10.0
_GOODBYE_S: Final = 2.0
# How long GPUs may take to be found before the node says that it has none.
_FIND_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0

_log = logging.getLogger(__name__)


class Announcement:
    """Keeps the annotation as the inventory is, on a thread of its own."""

    def __init__(self, api: ApiServer, node_name: str, inventory: Inventory) -> None:
        self._api = api
        self._path = f"/api/v1/nodes/{quote(node_name)}"
        self._inventory = inventory
        self._written: str | None = None
        self._began_s = time.monotonic()
        self._pause_s = _FIRST_PAUSE_S
        self._upkeep = Upkeep("announcement", self._step)

    def start(self) -> None:
        """Begin."""
        self._upkeep.start()

    def stop(self) -> None:
        """Stop, and say that no function can start on this node's GPUs now."""
        self._upkeep.stop()
        gpus = [replace(gpu, is_healthy=False, note=STOPPED) for gpu in self._inventory.gpus()]
        if self._written is None or not gpus:
            return
        try:
            self._put(encode_inventory(gpus), _GOODBYE_S)
        except ApiError as error:
            _log.warning("event=inventory_not_written error=%r", str(error))

    def tell(self) -> None:
        """Write soon: a GPU has changed."""
        self._upkeep.tell()

    def _step(self) -> float:
        try:
            wait_s = self._write()
        except ApiError as error:
            _log.warning("event=inventory_not_written error=%r", str(error))
            wait_s = self._pause_s
            self._pause_s = min(2 * wait_s, _LONGEST_PAUSE_S)
        else:
            self._pause_s = _FIRST_PAUSE_S
        return wait_s

    def _write(self) -> float:
        """Write if need be; return after how many seconds to look again."""
        gpus = self._inventory.gpus()
        if not gpus and time.monotonic() - self._began_s < _FIND_S:
            return 1.0
        text = encode_inventory(gpus)
        if text != self._written or text != self._standing():
            self._put(text)
            self._written = text
            _log.info("event=inventory_written gpus=%d", len(gpus))
        return CHECK_S

    def _put(self, text: str, timeout_s: float = _WRITE_S) -> None:
        body = {"metadata": {"annotations": {names.ANNOTATION_GPUS: text}}}
        self._api.patch(self._path, body, timeout_s=timeout_s)

    def _standing(self) -> str | None:
        node = msgspec.json.decode(self._api.get(self._path), type=Node)
        return node.metadata.annotations.get(names.ANNOTATION_GPUS)
