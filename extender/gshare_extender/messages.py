"""The extender's wire messages (kubescheduler.config.k8s.io/v1), which bear Go's field names.

Nothing past this module knows them. Null stands for what is not there; unknown fields are skipped.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from gshare.runtime.kube.objects import Pod


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


@functools.lru_cache(maxsize=8)
def _names(content: bytes) -> tuple[str, ...] | None:
    """Return a list of names. A cluster's is long, and comes again with each pod."""
    return msgspec.json.decode(content, type=tuple[str, ...] | None)


T = TypeVar("T")


def decode(content: bytes, kind: type[T]) -> T:
    """Return the message of type `kind` in `content`; MessageError where it is none."""
    with _understood():
        return msgspec.json.decode(content, type=kind)


def decode_filter(content: bytes) -> FilterArgs:
    """Return what `decode` does for FilterArgs; a list of names that came before costs little."""
    with _understood():
        args = msgspec.json.decode(content, type=_RawFilterArgs)
        return FilterArgs(args.pod, _names(bytes(args.node_names)))


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise MessageError(f"not what the scheduler sends: {error}") from error


def encode(answer: object) -> bytes:
    """Return what goes back."""
    return msgspec.json.encode(answer)
