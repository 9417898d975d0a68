"""Writes on the Node object what the agent alone knows: inventory, terms in force, models.

Besides events that is all it writes to the API. Annotations are replaced whole by a merge patch, so
every write is safe to repeat. They are compared with what stands there when something changes and
every CHECK_S, and put right if somebody changed them. Terms (`gshare.io/in-force`) are only of
pods that differ from their placement, so most nodes have none; models (`gshare.io/resident`) only
where a model store keeps some. An agent that stops says so of its GPUs: the kubelet fails pods for
good that come while it is away.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

import msgspec

from gshare import names
from gshare.annotations import (
    Standing,
    decode_in_force,
    encode_in_force,
    encode_inventory,
    encode_resident,
)
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


Standings = Mapping[str, Standing]
Resident = Mapping[str, Mapping[str, int]]
_Annotations = dict[str, str | None]


class Announcement:
    """Keeps the annotations as things are, on a thread of its own.

    `terms` returns the terms in force by pod UID, given those that stand there; `resident` the
    models in each GPU's memory and their bytes.
    """

    def __init__(
        self,
        api: ApiServer,
        node_name: str,
        inventory: Inventory,
        terms: Callable[[Standings], Standings] = lambda stood: stood,
        resident: Callable[[], Resident] = dict,
    ) -> None:
        self._api = api
        self._path = f"/api/v1/nodes/{quote(node_name)}"
        self._inventory = inventory
        self._terms = terms
        self._resident = resident
        self._has_written = False
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
        if not self._has_written or not gpus:
            return
        try:
            self._put({names.ANNOTATION_GPUS: encode_inventory(gpus)}, _GOODBYE_S)
        except ApiError as error:
            _log.warning("event=inventory_not_written error=%r", str(error))

    def tell(self) -> None:
        """Write soon: a GPU or a pod's terms have changed."""
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
        standing = msgspec.json.decode(self._api.get(self._path), type=Node).metadata.annotations
        in_force = self._terms(_standings(standing))
        resident = {uuid: models for uuid, models in self._resident().items() if models}
        wanted: _Annotations = {
            names.ANNOTATION_GPUS: encode_inventory(gpus),
            names.ANNOTATION_IN_FORCE: encode_in_force(in_force) if in_force else None,
            names.ANNOTATION_RESIDENT: encode_resident(resident) if resident else None,
        }
        if any(standing.get(name) != text for name, text in wanted.items()):
            self._put(wanted)
            _log.info("event=node_written gpus=%d terms=%d", len(gpus), len(in_force))
        self._has_written = True
        return CHECK_S

    def _put(self, annotations: _Annotations, timeout_s: float = _WRITE_S) -> None:
        body = {"metadata": {"annotations": annotations}}
        self._api.patch(self._path, body, timeout_s=timeout_s)


def _standings(annotations: Mapping[str, str]) -> Standings:
    """Return the terms that stand there; none where nobody can read them."""
    try:
        return decode_in_force(annotations.get(names.ANNOTATION_IN_FORCE, "{}"))
    except ValueError as error:
        _log.warning("event=terms_unreadable error=%r", str(error))
        return {}
