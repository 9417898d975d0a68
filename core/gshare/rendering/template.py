"""Reads the Deployment that every shape of a function is made from, and what stands beside it."""

from dataclasses import dataclass
from typing import Final

from gshare import names, units
from gshare.errors import InputError
from gshare.workload import manifest, shape
from gshare.workload.fields import Field

from .plain import Object, plain

_DEPLOYMENT: Final = "Deployment"


@dataclass(frozen=True, slots=True)
class Template:
    """A user's Deployment. `container` is the index of the one that gets the rectangle."""

    field: Field
    name: str
    namespace: str
    function: str
    container: int
    others: tuple[Object, ...]
    """The other objects of the file, as they are."""

    @property
    def deployment(self) -> Object:
        """Return a copy of the Deployment."""
        copy: Object = plain(self.field)
        return copy

    @property
    def pod(self) -> Field:
        """Return its pod template."""
        return self.field.at("spec", "template")

    @property
    def pod_labels(self) -> dict[str, str]:
        """Return the labels of its pods."""
        return self.pod.at("metadata", "labels").text_map()

    @property
    def quota_limit_percent(self) -> int | None:
        """Return the quota limit that the user wrote."""
        limit = self.pod.at("metadata", "annotations").child(names.ANNOTATION_QUOTA_LIMIT)
        return None if limit.is_absent else limit.read(units.whole_percent)

    @property
    def memory_bytes(self) -> int | None:
        """Return the GPU memory that the user wrote."""
        memory = self.pod.at("metadata", "annotations").child(names.ANNOTATION_GPU_MEM)
        return None if memory.is_absent else memory.read(units.memory_bytes)

    @property
    def slo_ms(self) -> float | None:
        """Return the objective for p99 that the user wrote on the Deployment."""
        slo = self.field.at("metadata", "annotations").child(names.ANNOTATION_SLO)
        return None if slo.is_absent else slo.read(units.milliseconds)

    @property
    def is_kept_awake(self) -> bool:
        """Tell whether the autoscaler keeps a replica, since only its pods count its load."""
        query = self.field.at("metadata", "annotations").child(names.ANNOTATION_RATE_QUERY)
        return query.is_absent or query.text().strip() == names.RATE_QUERY_DEFAULT


def read(source: str, text: str, name: str | None = None) -> Template:
    """Return the one Deployment in the YAML `text` of the file `source`, or the one named `name`.

    InputError where there is none, where several stand to choose from, or where it is not clear
    which of its containers gets the rectangle.
    """
    items = list(manifest.objects(source, text))
    chosen = _chosen(source, items, name)
    others = tuple(plain(item) for item in items if item is not chosen)
    deployment_name = chosen.at("metadata", "name").name()
    named = Field(source, f"{_DEPLOYMENT}/{deployment_name}", chosen.value)
    _check(named)
    return Template(
        named,
        deployment_name,
        named.at("metadata", "namespace").text(""),
        _function(named, deployment_name),
        _container(named),
        others,
    )


def _chosen(source: str, items: list[Field], name: str | None) -> Field:
    found = {
        item.at("metadata", "name").name(): item
        for item in items
        if item.child("kind").name() == _DEPLOYMENT
    }
    if name is not None and name not in found:
        raise InputError("command line", "--deployment", name, f"is no Deployment of {source}")
    if name is None and len(found) != 1:
        problem = "must hold one Deployment, or --deployment says which"
        raise InputError(source, "kind", ", ".join(found) or "no Deployment", problem)
    return found[name] if name is not None else next(iter(found.values()))


def _check(deployment: Field) -> None:
    """Refuse what would only be refused when it is applied, once for each shape."""
    if deployment.child("apiVersion").text() != "apps/v1":
        deployment.child("apiVersion").refuse("must be apps/v1 for a Deployment")
    labels = deployment.at("spec", "template", "metadata", "labels").text_map()
    selector = deployment.at("spec", "selector")
    if not selector.child("matchLabels").text_map():
        selector.refuse("must select the pods of the template, by matchLabels")
    for key, value in selector.child("matchLabels").items():
        if labels.get(key) != value.text():
            value.refuse("is not a label of the pod template with this value")
    for field in (deployment, deployment.at("spec", "template")):
        field.at("metadata", "labels").text_map()
        field.at("metadata", "annotations").text_map()


def _function(deployment: Field, name: str) -> str:
    """Return the value of `gshare.io/function` on the Deployment, else on its pods, else `name`."""
    for labels in (
        deployment.at("metadata", "labels"),
        deployment.at("spec", "template", "metadata", "labels"),
    ):
        label = labels.child(names.LABEL_FUNCTION)
        if not label.is_absent:
            return label.name()
    return name


def _container(deployment: Field) -> int:
    """Return which container asks for a GPU; the only one, where none does yet."""
    pod = deployment.at("spec", "template", "spec")
    containers = pod.child("containers").elements()
    for container in containers:
        container.child("name").name()
        for kind in ("limits", "requests"):
            tuple(container.at("resources", kind).items())
    asking = shape.gpu_container(pod)
    if asking is not None:
        return next(at for at, each in enumerate(containers) if each.path == asking.path)
    if len(containers) != 1:
        pod.child("containers").refuse(
            "must be one, or one of them must have the limits that say which gets the GPU"
        )
    return 0
