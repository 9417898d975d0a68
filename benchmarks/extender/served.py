"""The extender's own process in the benchmark: lists, lays out, serves, and times itself.

Its API server is a folder of pages, so the time of start is that of reading and laying out. It
prints one JSON object a line: first what the start took, then, at the end of input, its own times.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from benchmarks.extender import cluster as listed
from benchmarks.packing import mixes
from gshare.ledger import Candidate
from gshare.placement import Request
from gshare.runtime.kube.cache import Cache
from gshare.runtime.kube.listing import list_all
from gshare_extender import interpreter, metrics, web
from gshare_extender.binder import Binder
from gshare_extender.cluster import Cluster
from gshare_extender.messages import BindingArgs
from gshare_extender.seen import SeenNode, SeenPod
from gshare_extender.server import Server
from gshare_extender.settings import Address, ExtenderSettings
from gshare_extender.verbs import Verbs
from gshare_extender.watching import NODES, PODS

if TYPE_CHECKING:
    from gshare.runtime.kube import ApiServer
    from gshare_extender.writer import Writer

_ROUNDS: Final = 3000
_FIRSTS: Final = 300


class _Pages:
    """An API server that lists what stands in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> bytes:
        """Return one page."""
        page = (params or {}).get("continue", 0)
        return (self._folder / f"{path.rsplit('/', 1)[-1]}-{page}.json").read_bytes()


class _Sent:
    """A writer whose API server answers at once: what remains is the extender's own time."""

    def bind(self, *_: object) -> None:
        """Bind."""


def main() -> None:
    """Start, serve until the input ends, then time the decisions without HTTP."""
    interpreter.begin()
    start = time.perf_counter()
    cluster, _nodes, _pods = _started(Path(sys.argv[1]))
    start_s = time.perf_counter() - start
    writer = cast("Writer", _Sent())
    binder = Binder(cluster, writer)
    counts = metrics.counts()
    pages = web.Pages(cluster, lambda: "", counts.registry)
    verbs = Verbs(cluster, lambda: "", lambda _: None)
    answer = web.scheduler_answer(web.public_app(pages), verbs, binder, counts)
    server = Server(Address("127.0.0.1", 0), answer, 16, 120)
    server.start()
    _say({"start_s": start_s, "port": server.port, "memory_bytes": _memory_bytes()})
    sys.stdin.read()
    _say({"memory_bytes": _memory_bytes(), **_own_times(cluster, binder)})
    server.stop()


def _started(folder: Path) -> tuple[Cluster, Cache[SeenNode], Cache[SeenPod]]:
    """Do what the two reflectors do; what they remember of nodes and pods stays in memory too."""
    api = cast("ApiServer", _Pages(folder))
    cluster = Cluster(ExtenderSettings())
    nodes, pods = Cache[SeenNode](), Cache[SeenPod]()
    for node in nodes.replace(list_all(api, "/api/v1/nodes", NODES).items):
        cluster.take_seen_node(node.verb, node.item)
    for pod in pods.replace(list_all(api, "/api/v1/pods", PODS).items):
        cluster.take_seen_pod(pod.verb, pod.item)
    cluster.lay_out()
    interpreter.keep()
    return cluster, nodes, pods


def _own_times(cluster: Cluster, binder: Binder) -> dict[str, list[float]]:
    """Return the seconds of filter and score of all nodes, and of bind but for the API's call.

    Also of filter and score of sizes that nobody has asked for before.
    """
    nodes = tuple(listed.node_names())
    ranks, binds, firsts = [], [], []
    for number, size in enumerate(islice(cycle(mixes.FAST), _ROUNDS)):
        request = Request(f"own{number}", size.height, size.width, 2**30)
        with cluster.locked() as ledger:
            ranks.append(_seconds(lambda: ledger.rank(request, nodes, 16)))  # noqa: B023
        best = cluster.offer(request, nodes).candidates[0]
        assert isinstance(best, Candidate)  # noqa: S101 (a cluster a third full)
        args = BindingArgs("own", "team", best.node, request.key)
        binds.append(_seconds(lambda: binder.bind(args)))  # noqa: B023
    for number in range(_FIRSTS):
        request = Request(f"first{number}", 1 + number % 97, 1 + number % 89, 2**30)
        with cluster.locked() as ledger:
            firsts.append(_seconds(lambda: ledger.rank(request, nodes, 16)))  # noqa: B023
    return {"rank_s": ranks, "bind_s": binds, "first_rank_s": firsts}


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _say(found: Mapping[str, object]) -> None:
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
