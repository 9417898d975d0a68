"""What changes in a container, in the words of CDI: values, and their form in a spec's JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_READ_ONLY: Final = ("ro", "nosuid", "nodev", "bind")
_READ_WRITE: Final = ("rw", "nosuid", "nodev", "bind")
# The node's /run, where libraries lie, is mounted noexec by some distributions.
_EXECUTABLE: Final = ("ro", "nosuid", "nodev", "exec", "bind")


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount of a host path."""

    host_path: str
    container_path: str
    options: tuple[str, ...] = _READ_ONLY
    kind: str = ""

    @classmethod
    def read_only(cls, host: Path | str, container: str) -> "Mount":
        """Return a mount through which a container may read."""
        return cls(str(host), container)

    @classmethod
    def executable(cls, host: Path | str, container: str) -> "Mount":
        """Return a mount through which a container may load libraries."""
        return cls(str(host), container, _EXECUTABLE)

    @classmethod
    def read_write(cls, host: Path | str, container: str) -> "Mount":
        """Return a mount through which a container may also write."""
        return cls(str(host), container, _READ_WRITE)


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device file. What is None the runtime takes from the file on the host."""

    path: str
    host_path: str | None = None
    kind: str | None = None
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    permissions: str | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """A program that the runtime runs at one point of a container's life."""

    name: str
    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerEdits:
    """What changes in a container. `env` holds (name, value) pairs."""

    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()
    hooks: tuple[Hook, ...] = ()
    additional_gids: tuple[int, ...] = ()


def merge(*edits: ContainerEdits) -> ContainerEdits:
    """Return all edits in one; of two for one variable, path or device the later one holds."""
    return ContainerEdits(
        env=tuple({name: value for each in edits for name, value in each.env}.items()),
        mounts=_last(edits, "mounts", "container_path"),
        device_nodes=_last(edits, "device_nodes", "path"),
        hooks=tuple(dict.fromkeys(hook for each in edits for hook in each.hooks)),
        additional_gids=tuple(dict.fromkeys(gid for each in edits for gid in each.additional_gids)),
    )


def parse_edits(raw: object) -> ContainerEdits:
    """Return the `containerEdits` of a spec that somebody wrote; ValueError where they are none."""
    table = _table(raw, "containerEdits")
    return ContainerEdits(
        env=tuple(_variable(each) for each in _texts(table, "env")),
        mounts=tuple(_mount(each) for each in _list(table, "mounts")),
        device_nodes=tuple(_device_node(each) for each in _list(table, "deviceNodes")),
        hooks=tuple(_hook(each) for each in _list(table, "hooks")),
        additional_gids=tuple(int(each) for each in _list(table, "additionalGids")),
    )


def encode_edits(edits: ContainerEdits) -> dict[str, object]:
    """Return the `containerEdits` of a spec."""
    return _without_empty(
        env=[f"{name}={value}" for name, value in edits.env],
        mounts=[_mount_entry(each) for each in edits.mounts],
        deviceNodes=[_device_node_entry(each) for each in edits.device_nodes],
        hooks=[_hook_entry(each) for each in edits.hooks],
        additionalGids=list(edits.additional_gids),
    )


def _last(edits: Sequence[ContainerEdits], field: str, key: str) -> Any:  # noqa: ANN401
    return tuple(
        {getattr(entry, key): entry for each in edits for entry in getattr(each, field)}.values()
    )


def _without_empty(**entries: object) -> dict[str, object]:
    return {key: value for key, value in entries.items() if value not in (None, [], "")}


def _mount_entry(mount: Mount) -> dict[str, object]:
    return _without_empty(
        hostPath=mount.host_path,
        containerPath=mount.container_path,
        options=list(mount.options),
        type=mount.kind,
    )


def _mount(raw: object) -> Mount:
    table = _table(raw, "mounts")
    return Mount(
        _text(table, "hostPath"),
        _text(table, "containerPath"),
        _texts(table, "options"),
        str(table.get("type", "")),
    )


def _device_node_entry(node: DeviceNode) -> dict[str, object]:
    return _without_empty(
        path=node.path,
        hostPath=node.host_path,
        type=node.kind,
        major=node.major,
        minor=node.minor,
        fileMode=node.file_mode,
        permissions=node.permissions,
        uid=node.uid,
        gid=node.gid,
    )


def _device_node(raw: object) -> DeviceNode:
    table = _table(raw, "deviceNodes")
    return DeviceNode(
        _text(table, "path"),
        table.get("hostPath"),
        table.get("type"),
        table.get("major"),
        table.get("minor"),
        table.get("fileMode"),
        table.get("permissions"),
        table.get("uid"),
        table.get("gid"),
    )


def _hook_entry(hook: Hook) -> dict[str, object]:
    return _without_empty(
        hookName=hook.name,
        path=hook.path,
        args=list(hook.args),
        env=list(hook.env),
        timeout=hook.timeout_s,
    )


def _hook(raw: object) -> Hook:
    table = _table(raw, "hooks")
    return Hook(
        _text(table, "hookName"),
        _text(table, "path"),
        _texts(table, "args"),
        _texts(table, "env"),
        table.get("timeout"),
    )


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"env {text!r}: must be NAME=VALUE")
    return name, value


def _table(raw: object, field: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{field} {str(raw)[:40]!r}: must be an object")  # noqa: TRY004
    return raw


def _list(table: Mapping[str, Any], field: str) -> Sequence[Any]:
    value = table.get(field) or ()
    if not isinstance(value, list | tuple):
        raise ValueError(f"{field} {str(value)[:40]!r}: must be an array")  # noqa: TRY004
    return value


def _texts(table: Mapping[str, Any], field: str) -> tuple[str, ...]:
    values = _list(table, field)
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"{field} {str(value)[:40]!r}: must be an array of texts")  # noqa: TRY004
    return tuple(values)


def _text(table: Mapping[str, Any], field: str) -> str:
    value = table.get(field)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{field} {value!r}: must be a text")
    return value
