"""Readiness probes with the meaning that Kubernetes gives them.

A pure state counts outcomes against the thresholds; the checks themselves are three small
coroutines that answer yes or no. While a replica is not ready it is asked more often than its
period says, as the kubelet may do, so that a start is not slower than the server.
https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gshare.workload import Exec, HttpGet, Probe, TcpSocket

from .container import Container

IMPATIENT_PERIOD_S: Final = 0.2
LOCAL_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a container is ready, and how many equal outcomes in a row say otherwise."""

    is_ready: bool = False
    contrary_in_a_row: int = 0

    def after(self, succeeded: bool, probe: Probe) -> "Readiness":  # noqa: FBT001 (an outcome)
        """Return the readiness after one more outcome."""
        if succeeded == self.is_ready:
            return replace(self, contrary_in_a_row=0)
        needed = probe.failure_threshold if self.is_ready else probe.success_threshold
        if self.contrary_in_a_row + 1 < needed:
            return replace(self, contrary_in_a_row=self.contrary_in_a_row + 1)
        return Readiness(not self.is_ready)

    def pause_s(self, probe: Probe) -> float:
        """Return the time until the next check."""
        if self.is_ready:
            return probe.period_seconds
        return min(IMPATIENT_PERIOD_S, probe.period_seconds)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a check needs to know of the replica: its local ports, environment and directory."""

    local_ports: Mapping[int, int]
    """From container port to local port; a port that is not declared stands for itself."""
    env: Mapping[str, str]
    working_dir: Path

    def local(self, port: int) -> int:
        """Return the local port for a container port."""
        return self.local_ports.get(port, port)


async def watch(
    probe: Probe | None, surroundings: Surroundings, on_change: Callable[[bool], None]
) -> None:
    """Check for as long as the caller lets us, and tell each change of readiness.

    Without a probe a container is ready once it runs.
    """
    if probe is None:
        on_change(True)  # noqa: FBT003 (the callback's only argument)
        return
    readiness = Readiness()
    await asyncio.sleep(probe.initial_delay_seconds)
    while True:
        outcome = await succeeds(probe, surroundings)
        following = readiness.after(outcome, probe)
        if following.is_ready != readiness.is_ready:
            on_change(following.is_ready)
        readiness = following
        await asyncio.sleep(readiness.pause_s(probe))


async def succeeds(probe: Probe, surroundings: Surroundings) -> bool:
    """Make one check; anything but a clear success within the timeout is a failure."""
    try:
        async with asyncio.timeout(probe.timeout_seconds):
            match probe.action:
                case HttpGet():
                    return await _http_get(probe.action, surroundings)
                case TcpSocket():
                    return await _connects(probe.action, surroundings)
                case Exec():
                    return await _exits_well(probe.action, surroundings)
    except (OSError, ValueError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
        return False


async def _http_get(action: HttpGet, surroundings: Surroundings) -> bool:
    port = surroundings.local(action.port)
    reader, writer = await asyncio.open_connection(
        action.host or LOCAL_HOST, port, ssl=_unverified() if action.scheme == "HTTPS" else None
    )
    try:
        headers = {"Host": f"{action.host or LOCAL_HOST}:{port}", "User-Agent": "gshare-probe"}
        headers |= dict(action.headers) | {"Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {action.path or '/'} HTTP/1.1\r\n{head}\r\n".encode())
        status_line = await reader.readline()
    finally:
        writer.close()
    words = status_line.split()
    return len(words) > 1 and words[0].startswith(b"HTTP/") and 200 <= int(words[1]) < 400


async def _connects(action: TcpSocket, surroundings: Surroundings) -> bool:
    _, writer = await asyncio.open_connection(
        action.host or LOCAL_HOST, surroundings.local(action.port)
    )
    writer.close()
    return True


async def _exits_well(action: Exec, surroundings: Surroundings) -> bool:
    check = Container.start(action.command, surroundings.env, surroundings.working_dir)
    try:
        return await check.wait() == 0
    finally:
        check.kill()


def _unverified() -> ssl.SSLContext:
    """Return a context that accepts any certificate, as the kubelet's probes do."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
