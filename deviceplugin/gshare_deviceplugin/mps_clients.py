"""Ends MPS clients of pods that are about to be killed.

The kubelet kills what still runs at a pod's `deletionTimestamp`. A client killed with work on the
GPU may hang its server and all its neighbours; `terminate_client` takes its work away first. So a
little before that moment the pod's clients, known by their cgroup, are terminated. This needs the
host's process ids, which the control daemon lists if it runs in the host's pid namespace.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .mps_control import MpsControl, MpsError
from .mps_paths import MpsPaths, known, requests

_log = logging.getLogger(__name__)

LEAD_S: Final = 1.5
"""How long before the deadline clients are ended."""
_POLL_S: Final = 0.2
_FORGET_AFTER_S: Final = 60.0
# `pod<uid>` with dashes, with underscores (systemd), or without either (static pods).
_POD: Final = re.compile(r"pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})")


class ClientEnder(threading.Thread):
    """Does what `mps_paths.end_clients_at` asks for, on a thread of its own."""

    def __init__(self, state: Path, control: Callable[[MpsPaths], MpsControl] = MpsControl) -> None:
        super().__init__(name="client-ender", daemon=True)
        self._state = state
        self._control = control
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop."""
        self._stopped.set()

    def run(self) -> None:
        """Look for requests until stopped."""
        while not self._stopped.wait(_POLL_S):
            for paths in known(self._state):
                try:
                    self.serve(paths, time.time())
                except Exception:  # noqa: BLE001 (a service loop)
                    _log.exception("event=client_ender_failed gpu=%s", paths.uuid)

    def serve(self, paths: MpsPaths, now_s: float) -> None:
        """Do what is due on one GPU."""
        due = {pod for pod, deadline_s in requests(paths).items() if now_s >= deadline_s - LEAD_S}
        if not due:
            return
        try:
            self._end(paths, due)
        except MpsError as error:
            _log.warning('event=clients_not_ended gpu=%s error="%s"', paths.uuid, error)
        for pod in due:
            (paths.ending / pod).unlink(missing_ok=True)

    def _end(self, paths: MpsPaths, pods: set[str]) -> None:
        control = self._control(paths)
        for server, client in control.clients():
            pod = pod_of(_cgroup(client))
            if pod in pods:
                control.terminate(server, client)
                _log.info("event=client_ended gpu=%s pod=%s pid=%d", paths.uuid, pod, client)


def pod_of(cgroup: str) -> str | None:
    """Return the UID of the pod that a process's `/proc/PID/cgroup` names; None outside of pods."""
    found = _POD.search(cgroup)
    return found[1].replace("_", "-") if found else None


def _cgroup(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:  # it has ended
        return ""
