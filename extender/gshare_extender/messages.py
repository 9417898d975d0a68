"""The extender's wire messages (kubescheduler.config.k8s.io/v1), which bear Go's field names.

Nothing past this module knows them. Null stands for what is not there; unknown fields are skipped.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from gshare.runtime.kube.objects import Pod

from .nodelist import NodeList

_LONG: Final = 512
"""Bytes of names above which to read them costs more than to look some up."""


class MessageError(ValueError):
    """A request that is none; the text is one line that says what is wrong."""


class FilterArgs(msgspec.Struct, frozen=True, rename="pascal"):
    """What filter and prioritize are asked. `node_names` is there where nodeCacheCapable is set."""

    pod: Pod
    node_names: Sequence[str] | None = None


class _RawFilterArgs(msgspec.Struct, frozen=True, rename="pascal"):
    """The same, the names as they came."""

    pod: Pod
    node_names: msgspec.Raw = msgspec.Raw(b"null")


class FilterResult(msgspec.Struct, frozen=True, rename="pascal"):
    """Which nodes pass. No names means that no node does."""

    node_names: Sequence[str] = ()
    failed_and_unresolvable_nodes: Mapping[str, str] = {}
    error: str = ""
    failed_nodes: Mapping[str, str] = {}
    nodes: None = None


class HostPriority(msgspec.Struct, frozen=True, rename="pascal"):
    """A node's score, 0-10."""

    host: str
    score: int


class Victim(msgspec.Struct, frozen=True):
    """A pod that the scheduler would evict; its own message has more."""

    uid: str = msgspec.field(name="UID")


class MetaVictims(msgspec.Struct, frozen=True, rename="pascal"):
    """Whom the scheduler would evict on one node."""

    pods: list[Victim] | None = None
    num_pdb_violations: int = msgspec.field(name="NumPDBViolations", default=0)


class PreemptionArgs(msgspec.Struct, frozen=True, rename="pascal"):
    """What preempt is asked: whom the scheduler would evict for a pod, by node."""

    pod: Pod
    node_name_to_meta_victims: dict[str, MetaVictims] | None = None


class PreemptionResult(msgspec.Struct, frozen=True, rename="pascal"):
    """The nodes on which that helps, with the same victims."""

    node_name_to_meta_victims: Mapping[str, MetaVictims]


class BindingArgs(msgspec.Struct, frozen=True, rename="pascal"):
    """Which pod goes to which node."""

    pod_name: str
    pod_namespace: str
    node: str
    pod_uid: str = msgspec.field(name="PodUID")


class BindingResult(msgspec.Struct, frozen=True, rename="pascal"):
    """What came of a bind; an empty error is success."""

    error: str = ""


T = TypeVar("T")


def decode(content: bytes, kind: type[T]) -> T:
    """Return the message of type `kind` in `content`; MessageError where it is none."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise MessageError(f"not what the scheduler sends: {error}") from error


def decode_filter(content: bytes) -> FilterArgs:
    """Return what `decode` does for FilterArgs; many names are not read, but a NodeList."""
    args = decode(content, _RawFilterArgs)
    names = bytes(args.node_names)
    if len(names) < _LONG or not names.startswith(b"["):
        return decode(content, FilterArgs)
    return FilterArgs(args.pod, NodeList(names, lambda: decode(names, tuple[str, ...])))


def encode(answer: object) -> bytes:
    """Return what goes back."""
    return msgspec.json.encode(answer)
