"""Access to the API server: requests, objects, a reflector that survives its troubles, events."""

from .api import ApiServer, Watch
from .backoff import Pace
from .cache import Verb
from .errors import ApiError, ApiUnreachable, NoClusterError
from .events import EventWriter, Regarding
from .listing import Listed, Made, list_all, read
from .objects import Node, Pod, pod_json
from .reflector import Following, Reflector

__all__ = [
    "ApiError",
    "ApiServer",
    "ApiUnreachable",
    "EventWriter",
    "Following",
    "Listed",
    "Made",
    "NoClusterError",
    "Node",
    "Pace",
    "Pod",
    "Reflector",
    "Regarding",
    "Verb",
    "Watch",
    "list_all",
    "pod_json",
    "read",
]
