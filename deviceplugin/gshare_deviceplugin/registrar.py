"""What the kubelet sees of the device plugin: both resources, registered; nothing is decided here.

While a plugin's socket is away, the kubelet fails every pod that arrives, for good
(UnexpectedAdmissionError), and its controller makes new ones in a loop. So this process does only
what the kubelet must never miss: it registers both resources, with as many devices as the node had
when last seen, counts them, and names the lease in `Allocate`. Whatever can wait, fail or be slow
is the plugin's: `PreStartContainer` is passed on to it, and waits while it is being restarted.
"""

import threading
from pathlib import Path
from typing import Final

from gshare import names
from gshare.runtime.state import is_locked

from . import registration
from .passage import Passage
from .presence import Presence
from .records import Records
from .registration import Registration
from .servicer import Offer, quota_resource, sm_resource
from .settings import RegistrarSettings

_LOOK_S: Final = 0.1


def supervise(settings: RegistrarSettings, stop: threading.Event) -> None:
    """Keep both resources registered until `stop`."""
    state = settings.node.state
    records = Records(state)
    offer = Offer(records.gpu_count() * settings.units_per_gpu)
    resources = (
        sm_resource(offer, Passage(state, names.RESOURCE_SM).start),
        quota_resource(offer, Passage(state, names.RESOURCE_QUOTA).start),
    )
    registration.remove_stale_sockets(settings.kubelet)
    registrations = [Registration(settings.kubelet, each) for each in resources]
    for each in registrations:
        each.start()
    presence = Presence(lambda resource: _flag(state, resource))
    try:
        while not stop.wait(_LOOK_S):
            offer.set(records.gpu_count() * settings.units_per_gpu)
            presence.show([each.resource for each in registrations if each.is_registered])
    finally:
        for each in registrations:
            each.stop()


def registered(state: Path) -> dict[str, bool]:
    """Tell of each resource whether a registrar has it registered with the kubelet now."""
    return {resource: is_locked(_flag(state, resource)) for resource in names.RESOURCES}


def _flag(state: Path, resource: str) -> Path:
    return state / "registered" / resource.rpartition("/")[2]
