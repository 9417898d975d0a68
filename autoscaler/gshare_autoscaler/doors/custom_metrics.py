"""The life of the first door, custom.metrics.k8s.io: keys, listening, registering, and upkeep.

One thread does all of it, again and again: it reads or renews the serving keys, takes over what the
front proxy's ConfigMap says, begins to answer once both are known, and sees to the APIServices.
What fails, or is another adapter's, is told once and tried again, sooner at first; what works
meanwhile goes on. The order of a renewal: the Secret first, the APIServices next, and only then are
the new keys served, so that a process that dies at any line leaves an API server that trusts
whoever serves.
"""

import logging
import random
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from flask import Flask

from gshare.errors import GshareError
from gshare.runtime.address import Address
from gshare.runtime.kube import ApiServer, Pace
from gshare.runtime.kube.backoff import Backoff

from . import certificates
from .certificates import Bundle
from .cluster import Keeper
from .front_proxy import FrontProxy
from .metrics import Counts
from .registration import names_of_all
from .settings import DoorSettings, TlsFiles
from .tls import Keys, Server, Tls
from .trust import Trust

_PACE: Final = Pace(first_s=0.5, longest_s=30.0)

_log = logging.getLogger(__name__)


class CustomMetrics:
    """The door; `start`, then `stop`. `make_app(trust)` is called once for what it answers."""

    def __init__(
        self,
        settings: DoorSettings,
        address: Address,
        api: ApiServer,
        make_app: Callable[[Callable[[], Trust | None]], Flask],
        counts: Counts,
    ) -> None:
        self._settings = settings
        self._counts = counts
        self._proxy = FrontProxy(api)
        self._keeper = Keeper(api, settings.service)
        self._tls = Tls()
        self._server = Server(
            address, make_app(lambda: self._proxy.trust), settings.threads, self._tls
        )
        self._bundle: Bundle | None = None
        self._trouble = "not begun"
        self._stopping = threading.Event()
        self._backoff = Backoff(_PACE, random.random)
        self._upkeep = threading.Thread(target=self._keep_up, name="custom metrics", daemon=True)
        self._web = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self._server.bind_addr[1])

    @property
    def is_serving(self) -> bool:
        """Tell whether requests are answered: the keys and the front proxy are known."""
        return self._web.is_alive()

    @property
    def trouble(self) -> str:
        """Say in one line what is wrong; empty while HPAs are answered and all is well."""
        return self._trouble

    def start(self) -> None:
        """Take the port and begin; GshareError where it is taken."""
        try:
            self._server.prepare()
        except OSError as error:
            host, port = self._server.bind_addr[:2]
            raise GshareError(f"cannot listen on {host}:{port}: {error}") from error
        self._proxy.start()
        self._upkeep.start()

    def stop(self) -> None:
        """End what is under way, and everything else."""
        self._stopping.set()
        self._proxy.changed.set()
        if self._upkeep.is_alive():
            self._upkeep.join()
        self._server.stop()
        if self._web.is_alive():
            self._web.join()
        self._proxy.stop()

    def _keep_up(self) -> None:
        while not self._stopping.is_set():
            self._proxy.changed.clear()
            trouble = self._try()
            self._tell(trouble)
            # Woken early where the front proxy's authority changes.
            self._proxy.changed.wait(self._wait_s(trouble))

    def _wait_s(self, trouble: str) -> float:
        """Return how long to wait for the next look: less where something is wrong."""
        if not trouble:
            self._backoff = Backoff(_PACE, random.random)
            return self._settings.upkeep_s
        return min(self._backoff.after(0.0), self._settings.upkeep_s)

    def _try(self) -> str:
        """Do all that is to do; return what is wrong after it, empty where nothing is."""
        try:
            return self._step()
        except GshareError as error:
            return str(error)
        except Exception:  # noqa: BLE001 (a service loop, logged)
            _log.exception("event=upkeep_failed")
            return "failed inside; the autoscaler's log says why"

    def _step(self) -> str:
        """Do all that is to do; return what remains wrong. GshareError where it cannot go on."""
        bundle = self._current()
        trust = self._proxy.trust
        if trust is None:
            return self._proxy.trouble
        if self._bundle is None:
            # The APIServices trust these keys since an earlier life, or are not there yet.
            self._serve(bundle, trust)
        strangers = self._register(bundle.authority)
        self._serve(bundle, trust)
        return strangers or self._proxy.trouble

    def _current(self) -> Bundle:
        files = self._settings.tls
        if files is not None:
            return _read(files)
        return self._keeper.bundle(datetime.now(UTC), self._bundle)

    def _serve(self, bundle: Bundle, trust: Trust) -> None:
        keys = Keys(bundle.certificate, bundle.key, trust.authority)
        try:
            self._tls.use(keys)
        except (ssl.SSLError, ValueError) as error:
            raise GshareError(f"serving certificate: cannot be used: {error}") from error
        self._bundle = bundle
        self._counts.certificate_end.set(certificates.end(bundle).timestamp())
        if not self._web.is_alive() and not self._stopping.is_set():
            self._web.start()
            _log.info("event=serving door=custom_metrics port=%d", self.port)

    def _register(self, authority: str) -> str:
        if not self._settings.registers:
            return ""
        standing = self._keeper.register(authority)
        for name in names_of_all():
            version = name.partition(".")[0]
            self._counts.registered.labels(version).set(name in standing.ours)
        return standing.strangers

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            _log.warning("event=trouble door=custom_metrics text=%r", trouble)
        self._trouble = trouble


def _read(files: TlsFiles) -> Bundle:
    """Return what stands in the files now."""
    texts = []
    for path in (files.authority, files.certificate, files.key):
        try:
            texts.append(path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise GshareError(f"serving certificate: {path}: {error}") from error
    authority, certificate, key = texts
    bundle = Bundle(authority, "", certificate, key)
    try:
        certificates.end(bundle)
    except ValueError as error:
        raise GshareError(f"serving certificate: {files.certificate}: {error}") from error
    return bundle
