"""What a lease is, and whether a container may have one. Pure.

A container gets its lease when the kubelet is about to start it. `judge` compares three accounts of
it, which must agree: what the kubelet says (`Owner`), what the pod asks (its resources and
annotations), and what the extender decided (the placement annotation). `admit` then asks whether
the GPU still holds it beside the leases that are there, so a node that was told wrong is wrong for
one pod alone. Both answer a value or a `Refusal`, whose text is what `kubectl describe pod` shows:
one line with pod, field, value and cure.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gshare import names, terms, units
from gshare.annotations import NodeGpu, PodPlacement, Standing, Terms, decode_placement
from gshare.errors import InputError
from gshare.models import ModelShare
from gshare.modes import Settler, Timetable
from gshare.rectangles import Size
from gshare.workload import pods
from gshare.workload.values import Shape

from .charge import Charge

DIGEST_LETTERS: Final = 32
_UID_LETTERS: Final = 8
_FIELD: Final = f"metadata.annotations[{names.ANNOTATION_PLACEMENT}]"
_MAKE_ANEW: Final = "delete the pod, so that its controller makes another"


@dataclass(frozen=True, slots=True)
class Owner:
    """The container that the kubelet gave a set of device IDs to."""

    namespace: str
    pod: str
    container: str

    def __str__(self) -> str:
        """Return the pod as messages call it."""
        return f"pod {self.namespace}/{self.pod}"


@dataclass(frozen=True, slots=True)
class Lease:
    """What one start of a container holds on one GPU.

    `digest` stands for the device IDs, and names record and CDI device; `start` counts the starts
    of the pod's container, so that no two of them share pages; `libraries` is the version of hook
    and drivers that the container has mounted. Quotas and memory are the terms in force; `asked`
    are the texts by which they were judged, None where they are to be judged anew (changes.py).
    `hook` is how the container's calls reach the hook (names.HOOKS), empty for the node's way.
    `model` is the key of the weights that the GPU's model store keeps for the pod, `model_bytes`
    their size as it was announced.
    """

    lease_id: str
    digest: str
    owner: Owner
    pod_uid: str
    function: str
    start: int
    gpu_uuid: str
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int
    libraries: str = ""
    asked: Mapping[str, str] | None = None
    refused: Mapping[str, str | None] = field(default_factory=dict)
    hook: str = ""
    model: str | None = None
    model_bytes: int | None = None

    @property
    def shared(self) -> ModelShare | None:
        """Return the model whose weights the GPU's store keeps for the pod."""
        if self.model is None:
            return None
        return ModelShare(self.model, self.model_bytes, self.owner.namespace)

    @property
    def standing(self) -> Standing:
        """Return the terms in force, and what was refused."""
        memory = self.memory_bytes
        own = Terms(self.quota_request_percent, self.quota_limit_percent, memory)
        return Standing(own, self.refused)

    def on_terms(self, standing: Standing, asked: Mapping[str, str] | None) -> "Lease":
        """Return the lease with other terms in force."""
        return replace(
            self,
            quota_request_percent=standing.terms.quota_request_percent,
            quota_limit_percent=standing.terms.quota_limit_percent,
            memory_bytes=standing.terms.memory_bytes,
            refused=standing.refused,
            asked=asked,
        )

    @property
    def size(self) -> Size:
        """Return the function rectangle."""
        return Size(self.quota_request_percent, self.sm_percent)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a container may not start; `may_pass` where waiting a little can cure it.

    `reason` is one word, for counting.
    """

    text: str
    reason: str = "placement"
    may_pass: bool = False


def digest(device_ids: Iterable[str]) -> str:
    """Return the name of a set of device IDs: the same for every order of them."""
    joined = ",".join(sorted(device_ids))
    return hashlib.sha256(joined.encode()).hexdigest()[:DIGEST_LETTERS]


def judge(
    owner: Owner,
    pod: Mapping[str, Any],
    device_ids: Collection[str],
    gpus: Sequence[NodeGpu],
    before: Lease | None = None,
) -> Lease | Refusal:
    """Return the lease that `pod` (the API's JSON) is entitled to, still without a number.

    `device_ids` are those of the SM resource, `gpus` the node's inventory as it is now, `before`
    the pod's last lease, whose terms stay in force.
    """
    shape = _shape(owner, pod, device_ids, is_running=before is not None)
    if isinstance(shape, Refusal):
        return shape
    placed = _placement(owner, pod, Size(shape.quota_request_percent, shape.sm_percent))
    if isinstance(placed, Refusal):
        return placed
    found = _usable(owner, placed, gpus)
    if isinstance(found, Refusal):
        return found
    hook = _hook(owner, pod)
    if isinstance(hook, Refusal):
        return hook
    made = Lease(
        lease_id="",
        digest=digest(device_ids),
        owner=owner,
        pod_uid=str(pod["metadata"]["uid"]),
        function=_function(pod, owner),
        start=0,
        gpu_uuid=placed.gpu_uuid,
        sm_percent=shape.sm_percent,
        quota_request_percent=shape.quota_request_percent,
        quota_limit_percent=100,
        memory_bytes=placed.memory_bytes,
        hook=hook,
        model=placed.shared.key if placed.shared else None,
        model_bytes=placed.shared.size_bytes if placed.shared else None,
    )
    if before:
        return made.on_terms(before.standing, before.asked)
    wishes = terms.texts(pod["metadata"].get("annotations") or {})
    return made.on_terms(Standing(terms.at_start(wishes, placed)), None)


def admit(
    wanted: Lease, held: Sequence[Lease], beside: Charge, before: Timetable, settler: Settler
) -> Timetable | Refusal:
    """Return the layout of a GPU with `wanted` beside `held`, or why it does not hold them all."""
    gpu = beside.gpu
    together = (*held, wanted)
    if len(together) > gpu.max_clients:
        return _full(wanted, f"has all of its {gpu.max_clients} MPS clients")
    free = beside.left_bytes(held)
    asked_bytes = free - beside.left_bytes(together)
    if asked_bytes > free:
        left = units.memory_text(max(0, free))
        asked = units.memory_text(asked_bytes)
        return _full(wanted, f"has {left} of memory left where {asked} were placed")
    arranged = settler.settled(before, {each.lease_id: each.size for each in together})
    if arranged is None:
        return _full(wanted, f"has no layout for it beside {len(held)} others")
    return arranged


def numbered(lease: Lease, last_start: int, taken: Collection[str]) -> Lease:
    """Return `lease` under an id of its own: the pod's uid and the count of its starts."""
    start = last_start + 1
    while _lease_id(lease.pod_uid, start) in taken:
        start += 1
    return replace(lease, lease_id=_lease_id(lease.pod_uid, start), start=start)


def _shape(
    owner: Owner, pod: Mapping[str, Any], device_ids: Collection[str], *, is_running: bool
) -> Shape | Refusal:
    """Return what the pod asks, of a running one by its container alone."""
    try:
        asked = pods.rectangle(pod) if is_running else pods.asked(pod)
    except InputError as error:
        return Refusal(str(error), reason="pod")
    if asked is None or asked.container != owner.container:
        return Refusal(f"{owner}: container {owner.container} asks for no rectangle", reason="pod")
    if len(device_ids) != asked.shape.sm_percent:
        return Refusal(
            f"{owner}: {names.RESOURCE_SM} {asked.shape.sm_percent}: the kubelet gave "
            f"{len(device_ids)} devices; {_MAKE_ANEW}",
            reason="pod",
        )
    return asked.shape


def _placement(owner: Owner, pod: Mapping[str, Any], size: Size) -> PodPlacement | Refusal:
    written = (pod["metadata"].get("annotations") or {}).get(names.ANNOTATION_PLACEMENT)
    if written is None:
        return Refusal(
            f"{owner}: {_FIELD} is missing: the pod was not placed by gshare's extender; "
            f"delete it and have it scheduled by a scheduler that asks the extender"
        )
    try:
        placed = decode_placement(written, owner.namespace)
    except ValueError as error:
        return Refusal(f"{owner}: {_FIELD}: {written[:80]!r}: {error}; {_MAKE_ANEW}")
    if placed.size != size:
        return Refusal(
            f"{owner}: {_FIELD}: sm {placed.sm_percent}, quota {placed.quota_percent}: must equal "
            f"the container's limits, {size.height} and {size.width}; {_MAKE_ANEW}"
        )
    return placed


def _hook(owner: Owner, pod: Mapping[str, Any]) -> str | Refusal:
    """Return how the pod wants to reach the hook, empty where it does not say."""
    written = (pod["metadata"].get("annotations") or {}).get(names.ANNOTATION_HOOK, "")
    if written in {"", *names.HOOKS}:
        return str(written)
    known = " or ".join(names.HOOKS)
    return Refusal(
        f"{owner}: metadata.annotations[{names.ANNOTATION_HOOK}]: {str(written)[:80]!r}: must be "
        f"{known}; {_MAKE_ANEW}",
        reason="pod",
    )


def _usable(owner: Owner, placed: PodPlacement, gpus: Sequence[NodeGpu]) -> NodeGpu | Refusal:
    """Return the GPU that was chosen, if it is here and can be used."""
    gpu = next((each for each in gpus if each.uuid == placed.gpu_uuid), None)
    if gpu is None:
        return Refusal(
            f"{owner}: {_FIELD}: gpu {placed.gpu_uuid}: is not on this node; {_MAKE_ANEW}",
            reason="gpu",
            may_pass=True,
        )
    if not gpu.is_healthy:
        why = f" ({gpu.note})" if gpu.note else ""
        return Refusal(
            f"{owner}: {_FIELD}: gpu {gpu.uuid}: is not healthy{why}; the pod starts when it is "
            f"again, or {_MAKE_ANEW}",
            reason="gpu",
            may_pass=True,
        )
    return gpu


def _full(wanted: Lease, problem: str) -> Refusal:
    return Refusal(
        f"{wanted.owner}: {_FIELD}: gpu {wanted.gpu_uuid}: {problem}; the pod starts when others "
        f"have left, or {_MAKE_ANEW}",
        reason="full",
        may_pass=True,
    )


def _lease_id(pod_uid: str, start: int) -> str:
    return f"{pod_uid[:_UID_LETTERS].lower()}-{start}"


def _function(pod: Mapping[str, Any], owner: Owner) -> str:
    labels = pod["metadata"].get("labels") or {}
    return str(labels.get(names.LABEL_FUNCTION, owner.pod))
