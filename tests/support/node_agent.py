"""The node agent's real programs on folders of their own, and what they leave there."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import parser

from gshare import names, wire
from gshare_deviceplugin import cdi
from gshare_deviceplugin.lease import Lease
from gshare_deviceplugin.records import Records

from .fake_api_server import FakeApiServer, wait_until
from .fake_kubelet import FakeKubelet

NODE = "node-a"


class NodeAgent:
    """The programs of `gshare-deviceplugin` for one FakeKubelet and one FakeApiServer."""

    def __init__(self, kubelet: FakeKubelet, api: FakeApiServer) -> None:
        self.kubelet = kubelet
        self.api = api
        self.root = Path(tempfile.mkdtemp(prefix="gshare-agent-test-", dir="/dev/shm"))
        self.state = self.root / "state"
        self.cdi = self.root / "cdi"
        self.log = self.root / "log"
        self.simulate = "v100"
        self.time_scale = 1
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._kubeconfig = api.kubeconfig(self.root)

    def start(self, *programs: str) -> None:
        """Start the programs that do not run; all but MPS where none is named."""
        for program in programs or ("registrar", "daemons", "model-stores", "plugin"):
            if program not in self._running:
                self._running[program] = self._spawn(program)

    def kill(self, program: str, number: int = signal.SIGKILL) -> None:
        """End one program, by default without warning."""
        process = self._running.pop(program)
        process.send_signal(number)
        process.wait(10)

    def pid(self, program: str) -> int:
        """Return the process id of one program."""
        return self._running[program].pid

    def close(self) -> None:
        """End all, and leave nothing."""
        for program in list(self._running):
            self.kill(program, signal.SIGTERM)
        shutil.rmtree(self.root)

    @property
    def leases(self) -> dict[str, Lease]:
        """Return all leases, by pod."""
        return {each.owner.pod: each for each in Records(self.state).leases().values()}

    @property
    def gpus(self) -> list[str]:
        """Return the UUIDs that the node says it has."""
        node = self.api.find("nodes", "", NODE) or {}
        text = node.get("metadata", {}).get("annotations", {}).get(names.ANNOTATION_GPUS, "[]")
        return [each["uuid"] for each in json.loads(text)]

    def folder(self, lease: Lease) -> Path:
        """Return a lease's folder."""
        return self.state / "gpus" / lease.gpu_uuid / names.FOLDER_LEASES / lease.lease_id

    def limits(self, lease: Lease) -> wire.Limits:
        """Return what a lease's page says."""
        return wire.unpack_limits((self.folder(lease) / names.FILE_LIMITS).read_bytes())

    def clear(self) -> None:
        """Take all pods away, wait until their leases are gone, and forget the events."""
        self._drop_all("pods")
        self.kubelet.listed.clear()
        wait_until(lambda: not self.leases and not self.folders())
        self._drop_all("events")

    def folders(self) -> set[str]:
        """Return the ids of all leases that have a folder."""
        return {each.name for each in self.state.glob(f"gpus/*/{names.FOLDER_LEASES}/*")}

    def edits(self, device: str) -> dict[str, Any]:
        """Return the container edits of a CDI device as the runtime reads them."""
        digest = device.partition("=")[2]
        (entry,) = json.loads(cdi.spec_path(self.cdi, digest).read_text())["devices"]
        edits: dict[str, Any] = entry["containerEdits"]
        return edits

    def metrics(self) -> dict[str, float]:
        """Return the plugin's metrics; those of several series are added up."""
        return _sums(self._get("/metrics"))

    def is_ready(self) -> bool:
        """Tell whether the plugin says that it is ready."""
        with contextlib.suppress(OSError):
            return self._get("/readyz") == "ok\n"
        return False

    def words(self) -> str:
        """Return what the programs logged."""
        return self.log.read_text()

    def _drop_all(self, kind: str) -> None:
        for each in self.api.select(kind, None, {}):
            self.api.drop(kind, each["metadata"]["name"], "team")

    def _get(self, path: str) -> str:
        port = self.words().rpartition("event=serving port=")[2].split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def _spawn(self, program: str) -> "subprocess.Popen[bytes]":
        # Not in the child, between fork and exec: gRPC, which runs here, does not bear it.
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            sys.executable,
            "-m",
            "gshare_deviceplugin",
            program,
        ]
        command += ["--state-dir", str(self.state), "--simulate", self.simulate]
        command += ["--time-scale", str(self.time_scale)]
        if program == "plugin":
            command += ["--node-name", NODE]
            command += ["--pod-resources", str(self.kubelet.pod_resources)]
            command += ["--cdi-dir", str(self.cdi), "--kubeconfig", str(self._kubeconfig)]
            command += ["--metrics-host", "127.0.0.1", "--metrics-port", "0"]
        if program == "registrar":
            command += ["--kubelet-dir", str(self.kubelet.plugins)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )


@contextmanager
def agent(simulate: str = "v100", time_scale: int = 1) -> Iterator[NodeAgent]:
    """Run a node's agent until its GPUs are offered and announced."""
    with FakeKubelet() as kubelet, FakeApiServer() as api:
        api.put("nodes", {"metadata": {"name": NODE}})
        made = NodeAgent(kubelet, api)
        made.simulate = simulate
        made.time_scale = time_scale
        try:
            made.start()
            count = int(simulate.partition(":")[2] or 1)
            kubelet.wait_offered(1600 * count, 20)
            wait_until(lambda: len(made.gpus) == count, 10)
            yield made
        finally:
            print(made.words())  # noqa: T201 (pytest shows it beside a failure)
            made.close()


def _sums(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found
