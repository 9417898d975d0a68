"""Which world a command looks at: this machine's runs, or a cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from gshare.errors import GshareError, InputError

from . import observe
from .session import SessionSettings

if TYPE_CHECKING:
    from gshare.runtime.kube import ApiServer

_PROBE_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line says of where to look."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    all_namespaces: bool = False
    is_cluster: bool = False
    is_local: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, with InputError."""
        if self.is_local and self.names_cluster:
            problem = "goes with no option that names a cluster"
            raise InputError("command line", "--local", "given", problem)
        if self.namespace is not None and self.all_namespaces:
            problem = "goes without --all-namespaces"
            raise InputError("command line", "--namespace", self.namespace, problem)

    @property
    def names_cluster(self) -> bool:
        """Tell whether any option means a cluster."""
        named = self.kubeconfig is not None or self.context is not None
        return named or self.namespace is not None or self.all_namespaces or self.is_cluster


def find(where: Where, settings: SessionSettings, err: Console) -> "ApiServer | None":
    """Return the cluster to look at, or None for this machine.

    Options decide. Without any, live runs on this machine come first, then the cluster of the
    kubeconfig, if there is one that answers.
    """
    if where.is_local or not (where.names_cluster or _is_idle(settings)):
        return None
    from gshare.runtime.kube import ApiServer, NoClusterError  # noqa: PLC0415 (local runs need none)

    if where.names_cluster:
        return ApiServer.connect(where.kubeconfig, where.context)
    try:
        api = ApiServer.connect()
        api.get("/version", timeout_s=_PROBE_TIMEOUT_S)
    except NoClusterError:
        return None
    except GshareError as error:
        err.print(f"gshare: the cluster of the kubeconfig does not answer: {error}")
        return None
    return api


def _is_idle(settings: SessionSettings) -> bool:
    return not observe.look(settings).runs
