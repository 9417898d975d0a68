"""Three doors to the number of each Deployment: custom metrics API, gauge, KEDA's scaler.

`Doors(settings, api, answers, registry)` is all of them; `flags.add` and `flags.settings` are for
the program's own parser. What each needs of the cluster stands in `cluster` and `front_proxy`.
"""

from . import flags
from .opening import Doors
from .settings import DoorSettings, ServiceAddress, TlsFiles

__all__ = ["DoorSettings", "Doors", "ServiceAddress", "TlsFiles", "flags"]
