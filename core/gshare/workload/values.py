"""What a user's files ask for, as values that every part of gshare understands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gshare import names
from gshare.models import ModelShare

RestartPolicy = Literal["Always", "OnFailure", "Never"]
FieldPath = Literal["metadata.name", "metadata.namespace"]
Scheme = Literal["HTTP", "HTTPS"]

DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Shape:
    """What each replica of a function asks of a GPU. `memory_bytes` None means its default.

    `model` is what it announces to a model store; its weights are not in `memory_bytes`.
    """

    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int | None = None
    model: ModelShare | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: a text, or the field of the pod that `field_path` names.

    `value` may hold `$(NAME)` references; `expansion.launch_of` resolves both.
    """

    name: str
    value: str = ""
    field_path: FieldPath | None = None


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that the container says it listens on; `name` is empty where it has none."""

    number: int
    name: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class HttpGet:
    """Ready where this request is answered with a status from 200 to 399."""

    path: str
    port: int
    scheme: Scheme = "HTTP"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """Ready where this port accepts a connection."""

    port: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class Exec:
    """Ready where this command ends with exit code 0."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """A readiness probe, with the defaults of Kubernetes.

    Ports are container ports (names are resolved); where replicas get local ports instead, the
    caller maps them.
    """

    action: HttpGet | TcpSocket | Exec
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class Container:
    """The container that gets the rectangle. `command` is never empty: no image runs here."""

    name: str
    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: tuple[Variable, ...] = ()
    working_dir: str | None = None
    ports: tuple[ContainerPort, ...] = ()
    readiness: Probe | None = None
    restart_policy: RestartPolicy = "Always"


@dataclass(frozen=True, slots=True)
class Function:
    """One inference function: a Deployment whose pods ask for a rectangle of a GPU.

    `source` is the file, `labels` are those of its pods, `hook` how they reach the hook.
    """

    name: str
    namespace: str
    source: str
    replicas: int
    shape: Shape
    container: Container
    labels: Mapping[str, str]
    termination_grace_seconds: int = 30
    image: str = ""
    hook: str = names.HOOK_PRELOAD

    @property
    def kind_and_name(self) -> str:
        """Return what messages call the Deployment, such as "Deployment/resnet"."""
        return f"Deployment/{self.name}"

    @property
    def family(self) -> str:
        """Return the function that this is one configuration of: its label, else its name."""
        return self.labels.get(names.LABEL_FUNCTION, self.name)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service and the container port, by number or name, that it leads to."""

    port: int
    target_port: int | str
    name: str = ""
    protocol: str = "TCP"

    def target_on(self, container: Container) -> int | None:
        """Return the container port that this leads to, or None where the name is not declared."""
        if isinstance(self.target_port, int):
            return self.target_port
        for port in container.ports:
            if port.name == self.target_port:
                return port.number
        return None


@dataclass(frozen=True, slots=True)
class Service:
    """A stable port in front of the ready replicas that the selector picks."""

    name: str
    namespace: str
    source: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]

    def selects(self, function: Function) -> bool:
        """Tell whether the pods of `function` stand behind this Service."""
        return function.namespace == self.namespace and all(
            function.labels.get(key) == value for key, value in self.selector.items()
        )


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something in a file that has no effect here, and why."""

    kind: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Workload:
    """Everything that one or several files ask for."""

    functions: Sequence[Function] = ()
    services: Sequence[Service] = ()
    ignored: Sequence[Ignored] = ()
