"""The GPUs that replicas lie on, by gshare's packer; who leaves first is gshare's choice too.

There are as many GPUs as are needed: an empty one is added where a replica finds no room.
"""

from dataclasses import dataclass, field

from gshare import modes
from gshare.modes import Packer
from gshare.placement import Gpu, Refusal, Request, Snapshot, choose, release
from gshare.profile import ProfiledGpu
from gshare.scaling import Shape
from gshare_autoscaler import consolidation


@dataclass(slots=True)
class Fleet:
    """GPUs of one model, and on which of them each replica lies, by key."""

    model: ProfiledGpu
    _gpus: dict[str, Snapshot] = field(default_factory=dict)
    _where: dict[int, tuple[str, Shape]] = field(default_factory=dict)
    _packer: Packer = field(default_factory=lambda: Packer(modes.RECT))

    def take(self, key: int, shape: Shape, memory_bytes: int) -> None:
        """Place a replica."""
        request = Request(str(key), shape.sm_percent, shape.quota_percent, memory_bytes)
        answer = choose(tuple(self._gpus.values()), request, self._packer)
        if isinstance(answer, Refusal):
            uuid = f"GPU-{len(self._gpus)}"
            empty = Snapshot(Gpu(uuid, self.model.memory_bytes, self.model.sm_count))
            self._gpus[uuid] = empty
            answer = choose((empty,), request, self._packer)
        if isinstance(answer, Refusal):
            raise ValueError(answer.text)  # noqa: TRY004 (a shape that no empty GPU holds)
        self._gpus[answer.gpu_uuid] = answer.after
        self._where[key] = (answer.gpu_uuid, shape)

    def leave(self, key: int) -> None:
        """Take a replica away."""
        uuid, _ = self._where.pop(key)
        self._gpus[uuid] = release(self._gpus[uuid], str(key))

    def order_of_departure(self, keys: list[int]) -> list[int]:
        """Return `keys`, replicas of one shape, in the order in which they should leave."""
        tenants = [
            consolidation.Tenant(str(key), "own" if key in keys else "", uuid, shape.area)
            for key, (uuid, shape) in self._where.items()
        ]
        costs = consolidation.costs(tenants)
        return sorted(keys, key=lambda key: (costs.get(str(key), 0), key))

    @property
    def used(self) -> int:
        """Return how many GPUs hold a replica."""
        return len({uuid for uuid, _ in self._where.values()})
