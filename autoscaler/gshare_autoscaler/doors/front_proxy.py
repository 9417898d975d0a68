"""Follows the ConfigMap that says who the front proxy is, so that a new authority takes effect."""

import logging
import threading

import msgspec

from gshare.errors import InputError
from gshare.runtime.kube import ApiServer, Following, Reflector, Verb
from gshare.runtime.kube.objects import Meta

from . import trust
from .trust import Trust

_log = logging.getLogger(__name__)


class _ConfigMap(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta
    data: dict[str, str] = msgspec.field(default_factory=dict)


class FrontProxy:
    """Whom to trust, now. The last good answer stands while the ConfigMap is away or spoilt."""

    def __init__(self, api: ApiServer) -> None:
        self._trust: Trust | None = None
        self._flaw = f"configmap {trust.NAMESPACE}/{trust.CONFIG_MAP}: not there"
        self._changed = threading.Event()
        self._reflector = Reflector(
            api,
            f"/api/v1/namespaces/{trust.NAMESPACE}/configmaps",
            _ConfigMap,
            self._take,
            on_sync=self._changed.set,
            following=Following(field_selector=f"metadata.name={trust.CONFIG_MAP}"),
        )

    def start(self) -> None:
        """Begin to follow."""
        self._reflector.start()

    def stop(self) -> None:
        """End."""
        self._reflector.stop()

    @property
    def trust(self) -> Trust | None:
        """Return whom to trust; None until that was read once."""
        return self._trust

    @property
    def changed(self) -> threading.Event:
        """Return what is set as something was read; whoever waits for it clears it."""
        return self._changed

    @property
    def trouble(self) -> str:
        """Say why the front proxy is not known, or no longer followed; empty while all is well."""
        return self._reflector.trouble or self._flaw

    def _take(self, verb: Verb, item: _ConfigMap) -> None:
        if verb == "drop":
            return
        try:
            self._trust, self._flaw = trust.read(item.data), ""
        except InputError as error:
            self._flaw = str(error)
            _log.warning("event=front_proxy_unknown error=%r", self._flaw)
        self._changed.set()
