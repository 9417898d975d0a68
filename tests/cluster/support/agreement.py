"""Whether all parts of gshare name the same leases; what each says where they do not."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.harness import Cluster, Node

from gshare import layout, names, terms
from gshare.annotations import Standing, decode_in_force
from gshare.rectangles import Size
from gshare.runtime.tokend import Control, TokenDaemonError

from .scene import Object, is_over, node_of, placement_of, uid_of, until

_PATIENCE_S: Final = 40.0
_CDI_PREFIX: Final = names.CDI_KIND.replace("/", "-") + "-"


@dataclass(frozen=True, slots=True)
class Held:
    """A rectangle of a GPU that a pod holds."""

    node: str
    gpu_uuid: str
    sm: int
    quota: int


@dataclass(frozen=True, slots=True)
class Record:
    """A lease as its node remembers it."""

    lease_id: str
    digest: str
    pod_uid: str
    held: Held
    quota_limit: int
    memory_bytes: int


def agreement(cluster: Cluster, timeout_s: float = _PATIENCE_S) -> None:
    """Return when all agree; fail with the differences that are left after `timeout_s`."""

    def agree() -> bool:
        found = differences(cluster)
        if found:
            raise LookupError("\n  ".join(["they differ:", *found]))
        return True

    until(agree, "all parts name the same leases", timeout_s, poll_s=0.3)


def differences(cluster: Cluster) -> list[str]:
    """Return one line for each thing that two parts see differently; none where all agree."""
    pods = cluster.api.items("/api/v1/pods")
    standings = _standings(cluster)
    placed = {uid_of(pod): held for pod in pods if (held := held_of(pod, standings)) is not None}
    started = {uid_of(pod) for pod in pods if uid_of(pod) in placed and has_started(pod)}
    found = _compare("the extender's ledger", ledger(cluster), "the pods", placed)
    remembered = [record for node in cluster.nodes for record in records(node)]
    twice = len(remembered) - len({record.pod_uid for record in remembered})
    if twice:
        found.append(f"{twice} pods have two leases: {remembered}")
    by_pod = {record.pod_uid: record.held for record in remembered}
    expected = {uid: held for uid, held in placed.items() if uid in started}
    found += _compare("the nodes' records", by_pod, "the pods that have started", expected)
    for node in cluster.nodes:
        found += _node_differences(node)
    return found + _impossible(placed.values())


def held_of(pod: Object, standings: Mapping[str, Standing]) -> Held | None:
    """Return what a pod holds of a GPU, as the API has it: its placement, or its node's word."""
    placed = placement_of(pod)
    if placed is None or is_over(pod) or not node_of(pod):
        return None
    placed = terms.in_force(placed, standings.get(uid_of(pod)))
    return Held(node_of(pod), placed.gpu_uuid, placed.sm_percent, placed.quota_percent)


def _standings(cluster: Cluster) -> dict[str, Standing]:
    """Return what all nodes say of their pods' terms, by pod UID."""
    found: dict[str, Standing] = {}
    for node in cluster.api.items("/api/v1/nodes"):
        text = node["metadata"].get("annotations", {}).get(names.ANNOTATION_IN_FORCE, "{}")
        found |= decode_in_force(text)
    return found


def has_started(pod: Object) -> bool:
    """Tell whether the pod's GPU container was ever started."""
    return any(
        each["name"] == "server"
        and ("running" in each["state"] or "terminated" in each["state"] or each["restartCount"])
        for each in pod["status"].get("containerStatuses", ())
    )


def ledger(cluster: Cluster) -> dict[str, Held]:
    """Return what the extender beside the default scheduler counts as held, by pod UID."""
    return {
        placed["uid"]: Held(node["name"], gpu["uuid"], placed["sm"], placed["quota"])
        for node in cluster_view(cluster)["nodes"]
        for gpu in node["gpus"]
        for placed in gpu["placements"]
    }


def cluster_view(cluster: Cluster) -> dict[str, Any]:
    """Return the extender's GET /v1/cluster."""
    url = "http://127.0.0.1:10480/v1/cluster"
    view: dict[str, Any] = json.loads(
        cluster.machine.run(["curl", "-sS", "--fail", "--noproxy", "*", url])
    )
    return view


def records(node: Node) -> list[Record]:
    """Return the leases that a node remembers."""
    found = []
    for file in _entries(node.gshare_dir / "records"):
        try:
            raw = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            continue  # just removed, or being replaced
        held = Held(node.name, raw["gpu_uuid"], raw["sm_percent"], raw["quota_request_percent"])
        found.append(
            Record(
                raw["lease_id"],
                raw["digest"],
                raw["pod_uid"],
                held,
                raw["quota_limit_percent"],
                raw["memory_bytes"],
            )
        )
    return found


def record_of(cluster: Cluster, pod: Object) -> Record:
    """Return the lease of a pod; LookupError while it has none."""
    for record in records(cluster.node(node_of(pod))):
        if record.pod_uid == uid_of(pod):
            return record
    raise LookupError(f"{pod['metadata']['name']} has no lease")


def _node_differences(node: Node) -> list[str]:
    known = records(node)
    found = _compare_sets(
        f"CDI specs of {node.name}",
        {file.stem.removeprefix(_CDI_PREFIX) for file in _cdi_specs(node)},
        {record.digest for record in known},
    )
    for gpu in _entries(node.gshare_dir / "gpus"):
        expected = {each.lease_id for each in known if each.held.gpu_uuid == gpu.name}
        where = f"of {gpu.name[:12]} on {node.name}"
        folders = {entry.name for entry in _entries(gpu / names.FOLDER_LEASES)}
        found += _compare_sets(f"lease folders {where}", folders, expected)
        found += _compare_sets(f"timetable {where}", _timetable(gpu), expected)
        found += _compare_sets(f"token daemon {where}", _daemon(gpu), expected)
    return found


def _cdi_specs(node: Node) -> list[Path]:
    return [file for file in _entries(node.cdi_dir) if file.name.startswith(_CDI_PREFIX)]


def _timetable(gpu: Path) -> set[str]:
    try:
        lines = (gpu / names.FILE_TIMETABLE).read_text().splitlines()
    except FileNotFoundError:
        return set()
    return {line.split()[1] for line in lines[1:]}


def _daemon(gpu: Path) -> set[str]:
    try:
        return {each.lease_id for each in Control(gpu).stats().leases}
    except TokenDaemonError as error:
        return {f"(away: {error})"}


def _impossible(held: Iterable[Held]) -> list[str]:
    """Return the GPUs whose rectangles fit no layout."""
    by_gpu: dict[str, list[Size]] = {}
    for each in held:
        by_gpu.setdefault(each.gpu_uuid, []).append(Size(each.quota, each.sm))
    return [
        f"{gpu} holds what fits no layout: {sizes}"
        for gpu, sizes in by_gpu.items()
        if layout.find(sizes) is None
    ]


def _compare(
    source: str, found: Mapping[str, Held], reference: str, expected: Mapping[str, Held]
) -> list[str]:
    return [
        f"{source} says {found.get(uid)} of pod {uid}, {reference} say {expected.get(uid)}"
        for uid in sorted(found.keys() | expected.keys())
        if found.get(uid) != expected.get(uid)
    ]


def _compare_sets(source: str, found: set[str], expected: set[str]) -> list[str]:
    missing, surplus = sorted(expected - found), sorted(found - expected)
    if not missing and not surplus:
        return []
    return [f"{source}: missing {missing}, too many {surplus}"]


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
