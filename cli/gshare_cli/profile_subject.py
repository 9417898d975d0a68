"""Which function of a file is profiled, and what its Deployment says of that."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gshare import names, units
from gshare.errors import InputError
from gshare.workload import Function, Probe, Shape, TcpSocket, Workload, documents
from gshare.workload.fields import Field
from gshare_profiler import request
from gshare_profiler.request import Request

_PROBE_PERIOD_S: Final = 1


@dataclass(frozen=True, slots=True)
class Said:
    """The Deployment of a function, and the file that it stands in."""

    function: Function
    folder: Path
    body: dict[str, object]
    """The Deployment as it is written."""

    @property
    def field(self) -> Field:
        """Return the Deployment with its path, for messages."""
        return Field(self.function.source, self.function.kind_and_name, self.body)

    @property
    def namespace(self) -> str | None:
        """Return the namespace that is written, if any."""
        written = self.field.at("metadata", "namespace")
        return None if written.is_absent else written.text()

    def annotation(self, name: str) -> Field:
        """Return one annotation of the Deployment, which may be absent."""
        return self.field.at("metadata", "annotations", name)

    def request(self) -> Request:
        """Return the request that its annotation describes; GET / where there is none."""
        said = self.annotation(names.ANNOTATION_PROFILE_REQUEST)
        if said.is_absent:
            return Request()
        return request.parse(said.source, said.path, said.text(), self.read_beside)

    def slo_ms(self) -> float | None:
        """Return its SLO, None where it says none."""
        said = self.annotation(names.ANNOTATION_SLO)
        return None if said.is_absent else said.read(units.milliseconds)

    def read_beside(self, name: str) -> bytes:
        """Return what a file beside the Deployment's holds."""
        return (self.folder / name).read_bytes()


def choose(file: Path, workload: Workload, name: str | None) -> Said:
    """Return the one function of `workload` to profile; InputError where that is not clear."""
    found = [each for each in workload.functions if name in {None, each.name, each.family}]
    known = ", ".join(each.name for each in workload.functions) or "none"
    if not found:
        raise InputError(str(file), "function", name or "", f"is not there; there is: {known}")
    if len(found) > 1:
        raise InputError(str(file), "function", known, "is more than one: choose by --function")
    function = found[0]
    if not function.container.ports:
        field = f"{function.kind_and_name} container {function.container.name} ports"
        problem = "declares none: where would the requests of a trial go?"
        raise InputError(str(file), field, [], problem)
    bodies = _deployments(file)
    key = (function.namespace, function.name)
    return Said(function, file.resolve().parent, bodies[key])


def _deployments(file: Path) -> dict[tuple[str, str], dict[str, object]]:
    """Return the Deployments of a file that was parsed before, by namespace and name."""
    found = {}
    for body in _objects(documents.load(str(file), file.read_text(encoding="utf-8"))):
        if body.get("kind") == "Deployment":
            metadata = Field(str(file), "Deployment", body).child("metadata")
            namespace = metadata.child("namespace").text("default") or "default"
            found[namespace, metadata.child("name").text()] = body
    return found


def _objects(roots: list[object]) -> Iterator[dict[str, object]]:
    for root in roots:
        if isinstance(root, dict) and root.get("kind") == "List":
            yield from _objects(root.get("items") or [])
        elif isinstance(root, dict):
            yield root


def shaped(function: Function, shape: Shape) -> Function:
    """Return one replica of `function` for a trial: of this shape, probed often, started once.

    Without a readiness probe it is ready once its port takes connections.
    """
    container = function.container
    probe = container.readiness or Probe(TcpSocket(container.ports[0].number))
    period_s = min(probe.period_seconds, _PROBE_PERIOD_S)
    return replace(
        function,
        replicas=1,
        shape=shape,
        container=replace(
            container, readiness=replace(probe, period_seconds=period_s), restart_policy="Never"
        ),
    )
