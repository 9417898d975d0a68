"""Command line: `python -m tests.cluster.harness up|down|status|tools`."""

import argparse
import sys
from pathlib import Path

from tests.cluster import deployment

from gshare.errors import GshareError

from . import cluster, record
from .cluster import Cluster
from .errors import UnavailableError
from .settings import STATE_DIR, Settings


def main() -> int:
    """Run one command and return the exit code."""
    asked = _parser().parse_args()
    state_dir = Path(asked.state_dir).resolve()
    try:
        if asked.command == "up" and not (asked.if_needed and _runs(state_dir)):
            _up(Settings(state_dir=state_dir, nodes=asked.nodes, gshare=asked.gshare))
        elif asked.command == "down":
            _down(state_dir)
        elif asked.command == "tools":
            _tools()
        elif asked.command == "status":
            _status(state_dir)
    except GshareError as error:
        _say(f"cluster: {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.harness", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "tools"])
    parser.add_argument("--nodes", type=int, default=1, help="number of real nodes (default 1)")
    parser.add_argument("--state-dir", default=str(STATE_DIR), help="where the cluster is kept")
    parser.add_argument("--if-needed", action="store_true", help="do nothing where one runs")
    parser.add_argument(
        "--no-gshare",
        dest="gshare",
        action="store_false",
        help="a bare cluster, nothing of gshare on it",
    )
    return parser


def _runs(state_dir: Path) -> bool:
    return record.is_in(state_dir) and Cluster.attach(state_dir).is_running


def _up(settings: Settings) -> None:
    made = Cluster.up(settings, _say)
    if settings.gshare:
        deployment.deploy(made, _say)
    kubectl = made.kubectl_program
    _say(
        f"\n  export KUBECONFIG={made.kubeconfig}\n  {kubectl} get nodes\n\n"
        "End it with: make cluster-down"
    )


def _down(state_dir: Path) -> None:
    try:
        found = Cluster.attach(state_dir)
    except GshareError:
        _say(f"no cluster in {state_dir}")
        return
    found.down()
    _say(f"the cluster in {state_dir} is gone")


def _tools() -> None:
    """Get what clusters need; a machine that cannot have one is no error, its tests are skipped."""
    try:
        cluster.get_ready(_say)
    except UnavailableError as error:
        _say(f"no test cluster here: {error}")


def _status(state_dir: Path) -> None:
    found = Cluster.attach(state_dir)
    for name, process in found.processes.items():
        state = f"runs, pid {process.pid}" if process.is_running else "is not running"
        _say(f"{name:24} {state}; log {process.log}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
