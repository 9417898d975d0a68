"""An extender in this process, against a FakeApiServer."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gshare.runtime.address import Address
from gshare.runtime.kube import ApiServer
from gshare_extender.service import Service
from gshare_extender.settings import ExtenderSettings

from .fake_api_server import FakeApiServer, wait_until
from .scheduling import SchedulerSide

LOOPBACK = Address("127.0.0.1", 0)
SETTINGS = ExtenderSettings(listen=LOOPBACK, metrics=LOOPBACK, touch_interval_s=0.1, tick_s=0.05)


@contextmanager
def serving(api: FakeApiServer, folder: Path, **changes: object) -> Iterator[Service]:
    """Run an extender whose settings are changed by `changes`, without waiting for anything."""
    settings = dataclasses.replace(SETTINGS, **changes)
    service = Service(settings, ApiServer.connect(api.kubeconfig(folder)))
    service.start()
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def ready(api: FakeApiServer, folder: Path, **changes: object) -> Iterator[SchedulerSide]:
    """Run an extender until it knows the cluster; yield a scheduler's connection to it."""
    with serving(api, folder, **changes) as service:
        wait_until(lambda: not service.watches.trouble())
        yield SchedulerSide(service.ports[0])
