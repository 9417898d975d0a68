"""Runs the example server as a process on a simulated GPU and puts load on it."""

import contextlib
import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready."""

    process: subprocess.Popen[str]
    port: int

    def get(
        self, path: str, method: str = "GET", body: bytes | None = None, port: int | None = None
    ) -> tuple[int, bytes]:
        """Send one request on a connection of its own; return status and body.

        `port` is another of its ports than that for requests.
        """
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def figure(self, name: str, port: int | None = None) -> float:
        """Return one of the server's metrics by its name with labels."""
        _, text = self.get("/metrics", port=port)
        for line in text.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no metric {name} among: {text.decode()}")

    def saturated_rps(self, seconds: float, users: int = 4) -> float:
        """Return the requests per second of `users` in a closed loop, after 0.3 s.

        Counted from one answer to another, so that no request is cut by the window's ends.
        """
        ends: list[float] = []
        stop = time.monotonic() + 0.3 + seconds
        threads = [threading.Thread(target=self._loop, args=(stop, ends)) for _ in range(users)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counted = sorted(end for end in ends if stop - seconds <= end <= stop)
        return (len(counted) - 1) / (counted[-1] - counted[0])

    def _loop(self, stop: float, ends: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while time.monotonic() < stop:
            connection.request("GET", "/infer")
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            ends.append(time.monotonic())
        connection.close()


def start(environment: Mapping[str, str], *options: str) -> subprocess.Popen[str]:
    """Start the server on a free port; `environment` goes on top of the test's own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gshare_example_server", "--port=0", *options],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def running(environment: Mapping[str, str], *options: str) -> Iterator[Server]:
    """Yield a server that is ready, and end it."""
    process = start(environment, *options)
    try:
        yield Server(process, _port_of(process))
    finally:
        process.kill()
        process.communicate()


def _port_of(process: subprocess.Popen[str]) -> int:
    """Return the port that the server says it is ready on."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith("ready on "):
            return int(line.rpartition(":")[2])
    assert process.stderr
    raise AssertionError(f"the server ended before it was ready: {process.stderr.read()}")
