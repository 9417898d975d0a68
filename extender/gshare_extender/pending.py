"""What is remembered of pending pods: from filter until they are seen on a node. Pure."""

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from gshare.placement import Request
from gshare.policies import Preference

_WAITS_S: Final = 600.0
"""How long a pod that was refused counts as waiting. The scheduler tries it again every 5 minutes;
where it does not, the pod is gone."""
_REMEMBERED: Final = 10_000
_NEVER: Final = -math.inf


@dataclass(slots=True)
class PendingPod:
    """One pod: its request, and the nodes that it was offered, best first."""

    request: Request
    preference: Preference
    offered: tuple[str, ...] = ()
    refused_at_s: float = _NEVER
    is_uncertain: bool = False
    """Whether nobody knows if its bind has been made."""
    bound_at_s: float | None = None

    def answer(self, offered: tuple[str, ...], now_s: float) -> None:
        """Take note of what it was offered; no node is a refusal."""
        self.offered = offered
        self.refused_at_s = _NEVER if offered else now_s
        self.is_uncertain = False

    def bind(self, now_s: float) -> None:
        """Take note that it was bound."""
        self.bound_at_s = now_s
        self.refused_at_s = _NEVER


@dataclass(slots=True)
class PendingPods:
    """All of them, by UID; of very many the oldest are forgotten."""

    _pods: OrderedDict[str, PendingPod] = field(default_factory=OrderedDict)

    def get(self, uid: str) -> PendingPod | None:
        """Return what is remembered of a pod."""
        return self._pods.get(uid)

    def note(self, request: Request, default: Preference) -> PendingPod:
        """Take note of what a pod asks now; it has the preference `default` if it is new."""
        pending = self._pods.pop(request.key, None) or PendingPod(request, default)
        pending.request = request
        self._pods[request.key] = pending
        while len(self._pods) > _REMEMBERED:
            self._pods.popitem(last=False)
        return pending

    def forget(self, uid: str) -> PendingPod | None:
        """Forget a pod, which has arrived or is gone; return what was remembered."""
        return self._pods.pop(uid, None)

    def is_any_waiting(self, now_s: float) -> bool:
        """Tell whether a pod was refused and is still tried."""
        since_s = now_s - _WAITS_S
        return any(each.refused_at_s > since_s for each in self._pods.values())
