"""Programs in namespaces of their own, changed as a runtime changes a container by CDI.

No runtime is needed: `unshare` gives pid, mount and IPC namespaces, and folders that mounts go into
are overlaid, so that nothing of it is seen outside. Needs root.
"""

import functools
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.supervisor import children_of

from gshare.runtime import processes
from gshare_deviceplugin.edits import ContainerEdits, Mount

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
_OVERLAID = ("/etc", "/run", "/usr/local")
_UNSHARE = ("unshare", "--pid", "--mount", "--ipc", "--fork", "--kill-child", "--mount-proc")


@functools.cache
def why_not() -> str:
    """Say why there are no namespaces here; empty where there are."""
    if os.geteuid() != 0:
        return "needs root"
    done = subprocess.run(
        [*_UNSHARE, "sh", "-c", "\n".join(_overlays())], check=False, capture_output=True, text=True
    )
    return f"unshare and overlay: {done.stderr.strip()}" if done.returncode else ""


def start(
    edits: ContainerEdits, command: Sequence[str], uid: int = 0, **variables: str
) -> subprocess.Popen[str]:
    """Start a command in a container of its own; it is killed when we end."""
    environment = {**variables, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    environment |= dict(edits.env)
    return subprocess.Popen(
        [*_UNSHARE, "sh", "-c", _script(edits, command, uid, environment)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (prctl alone: safe after fork)
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a container's first process, and thereby all of it, as the kubelet does at last.

    The kernel forgets who dies with whom when a process changes its user.
    """
    for pid in children_of(process.pid) if process.poll() is None else ():
        processes.send(pid, signal.SIGKILL)
    process.kill()
    process.communicate()


def run(edits: ContainerEdits, command: Sequence[str], uid: int = 0, **variables: str) -> str:
    """Run a command in a container to its end; return what it printed."""
    process = start(edits, command, uid, **variables)
    try:
        out, error = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        kill(process)
        raise
    assert process.returncode == 0, error
    return out.strip()


def _script(
    edits: ContainerEdits, command: Sequence[str], uid: int, environment: Mapping[str, str]
) -> str:
    become = f"setpriv --reuid={uid} --regid={uid} --clear-groups --no-new-privs"
    words = [f"{name}={value}" for name, value in environment.items()]
    lines = [
        *_overlays(),
        *_interpreter(),
        *(line for each in edits.mounts for line in _bind(each)),
    ]
    return "\n".join([*lines, f"exec {become} env -i {shlex.join([*words, *command])}"])


def _overlays() -> Iterator[str]:
    yield "set -e; umask 022"
    yield "mount -t tmpfs tmpfs /mnt"
    for index, folder in enumerate(_OVERLAID):
        yield f"mkdir /mnt/{index} /mnt/{index}/up /mnt/{index}/work"
        paths = f"lowerdir={folder},upperdir=/mnt/{index}/up,workdir=/mnt/{index}/work"
        yield f"mount -t overlay -o {paths} overlay {folder}"


def _interpreter() -> Iterator[str]:
    """Let every user reach our Python, though it may lie in root's home."""
    home, prefix = Path.home(), sys.base_prefix
    if not Path(prefix).is_relative_to(home):
        return
    yield f"mkdir /mnt/python && mount --bind {prefix} /mnt/python"
    yield f"mount -t tmpfs -o mode=755 tmpfs {home}"
    yield f"mkdir -p {prefix} && mount --bind /mnt/python {prefix}"


def _bind(mount: Mount) -> Iterator[str]:
    target = shlex.quote(mount.container_path)
    source = shlex.quote(mount.host_path)
    if Path(mount.host_path).is_dir():
        yield f"mkdir -p {target}"
    else:
        yield f"mkdir -p $(dirname {target}); [ -e {target} ] || touch {target}"
    yield f"mount --bind {source} {target}"
    access = "ro" if "ro" in mount.options else "rw"
    execution = "exec" if "exec" in mount.options else "noexec"
    yield f"mount -o remount,bind,{access},{execution} {target}"
