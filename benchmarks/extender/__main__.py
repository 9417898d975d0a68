"""Measures an extender that knows 40,000 GPUs, writes build/bench/extender.json; 1 on a miss."""

import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import verdict
from benchmarks.extender import cluster
from benchmarks.packing import mixes
from gshare.runtime.report import Claim, Report

_OUT: Final = Path("build/bench/extender.json")
_REQUESTS: Final = 1000
_WARM_UP: Final = 50


def main() -> None:
    """Write the cluster, start an extender on it, ask it, judge."""
    with tempfile.TemporaryDirectory() as folder:
        written = cluster.write(Path(folder))
        found = _measured(written)
    area = written.used_area / cluster.OCCUPIED / 100
    conditions = {"pods": written.pods, "occupied_gpus": cluster.OCCUPIED, "area_percent": area}
    claims = verdict.failing_first(_claims(found))
    Report(claims, [_case(found)], simulated=False, conditions=conditions).write(_OUT)
    out = verdict.console()
    out.print(
        f"{written.pods} pods on {cluster.OCCUPIED} of 40,000 GPUs, {area:.1f} % of their area"
    )
    out.print(
        "filter and score of a size that nobody has asked for: "
        f"{_ms(found['first_rank_s'], 50):.2f} ms p50, {_ms(found['first_rank_s'], 99):.2f} ms p99"
    )
    verdict.show(out, claims)
    sys.exit(any(not claim.holds for claim in claims))


def _measured(written: cluster.Written) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.extender.served", str(written.folder)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as served:
        assert served.stdin  # noqa: S101 (asked for above)
        assert served.stdout  # noqa: S101 (asked for above)
        started = json.loads(served.stdout.readline())
        asked = {
            "same_s": _asked(started["port"], is_shuffled=False),
            "shuffled_s": _asked(started["port"], is_shuffled=True),
        }
        served.stdin.close()
        return {**started, **asked, **json.loads(served.stdout.readline())}


def _asked(port: int, *, is_shuffled: bool) -> list[float]:
    """Return the seconds of whole filter requests; the names in the same order, or any."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    names, chance, times = cluster.node_names(), random.Random(1), []  # noqa: S311
    for number in range(_REQUESTS + _WARM_UP):
        if is_shuffled:
            chance.shuffle(names)
        size = mixes.FAST[number % len(mixes.FAST)]
        pod = cluster.waiting_pod(2 * number + is_shuffled, size)
        body = json.dumps({"Pod": pod, "Nodes": None, "NodeNames": names}, separators=(",", ":"))
        content = body.encode()
        start = time.perf_counter()
        connection.request("POST", "/filter", content, {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
        times.append(time.perf_counter() - start)
        if not number:
            assert len(json.loads(answer)["NodeNames"]) == 16, answer  # noqa: S101 (a check)
    return times[_WARM_UP:]


def _claims(found: dict[str, Any]) -> list[Claim]:
    return [
        *_quantiles("filter and score of 40,000 GPUs", found["rank_s"], 0.3, 2.0),
        *_quantiles("filter request of 5,000 names, same list", found["same_s"], 3.0, 8.0),
        *_quantiles("filter request of 5,000 names, shuffled", found["shuffled_s"], 3.0, 8.0),
        Claim.compare("bind, but for the API", _ms(found["bind_s"], 50), "ms p50", "<=", 0.1),
        Claim.compare("memory", found["memory_bytes"] / 1e6, "MB", "<=", 300),
        Claim.compare("start: list and lay out", found["start_s"], "s", "<=", 5),
    ]


def _quantiles(name: str, seconds: Sequence[float], p50_ms: float, p99_ms: float) -> list[Claim]:
    return [
        Claim.compare(name, _ms(seconds, 50), "ms p50", "<=", p50_ms),
        Claim.compare(name, _ms(seconds, 99), "ms p99", "<=", p99_ms),
    ]


def _ms(seconds: Sequence[float], percent: int) -> float:
    return 1e3 * statistics.quantiles(seconds, n=100)[percent - 1]


def _case(found: dict[str, Any]) -> dict[str, object]:
    timed = [name for name in found if name.endswith("_s") and name != "start_s"]
    return {
        **{
            f"p{percent}_ms": {name: _ms(found[name], percent) for name in timed}
            for percent in (50, 99)
        },
        "start_s": found["start_s"],
        "memory_bytes": found["memory_bytes"],
    }


if __name__ == "__main__":
    main()
