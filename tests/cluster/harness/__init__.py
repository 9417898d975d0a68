"""A real Kubernetes cluster on one machine: control plane and nodes, each a machine of its own.

Each of them lives in mount, process, network and host-name namespaces of its own, so that all of
them use Kubernetes' default paths and ports, touch nothing of the host, and end whole when the
first process of their namespace is killed.
"""

from .api import Api
from .cluster import Cluster
from .errors import ClusterError
from .node import Node
from .process import Process
from .settings import Settings
from .waiting import wait

__all__ = ["Api", "Cluster", "ClusterError", "Node", "Process", "Settings", "wait"]
