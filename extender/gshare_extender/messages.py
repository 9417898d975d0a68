"""The extender's wire messages (kubescheduler.config.k8s.io/v1), which bear Go's field names.

Nothing past this module knows them. Null stands for what is not there; unknown fields are skipped.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from gshare.runtime.kube.objects import Pod


class MessageError(ValueError):
    """A request that is none; the text is one line that says what is wrong."""


class FilterArgs(msgspec.Struct, frozen=True, rename="pascal"):
    """What filter and prioritize are asked. `node_names` is there where nodeCacheCapable is set."""

    pod: Pod
    node_names: list[str] | None = None


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


def encode(answer: object) -> bytes:
    """Return what goes back."""
    return msgspec.json.encode(answer)
