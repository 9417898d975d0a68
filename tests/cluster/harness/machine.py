"""A machine of the cluster: namespaces with a first process, whose death ends everything in them.

The first process mounts what makes the machine its own and sleeps. Processes that join it see an
own /run, an own /etc and /var/lib (writes stay in memory), an own network with one interface, and
only their own processes. SIGKILL to the first process makes the kernel kill all others, containers
included, and take mounts, network interfaces and packet filter rules with them.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gshare.errors import GshareError

from .commands import run
from .errors import ClusterError
from .process import Process
from .waiting import wait

_NAMESPACES: Final = ("--mount", "--net", "--uts", "--ipc", "--pid")
_PATIENCE_S: Final = 10.0
_COMMAND_PATIENCE_S: Final = 120.0

# Folders in which the host's files show through and ours are written to memory.
_OVERLAID: Final = ("/etc", "/var/lib", "/var/log", "/opt")

# With SIGCHLD ignored, which exec keeps, the kernel itself reaps orphans: sleep need not.
_SCRIPT: Final = """\
set -e
mount -t proc proc /proc
mount -t tmpfs -o nosuid,nodev,noexec,mode=755 tmpfs /run
mount -t tmpfs tmpfs /dev/shm
for folder in {overlaid}; do
  mkdir -p /run/.machine$folder/upper /run/.machine$folder/work
  mount -t overlay overlay -o \
lowerdir=$folder,upperdir=/run/.machine$folder/upper,workdir=/run/.machine$folder/work $folder
done
hostname {name}
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
{setup}
mount --make-rshared /
trap '' CHLD
exec sleep infinity
"""


class MachineFailedError(GshareError):
    """The first process of a machine ended; waiting is in vain."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine; `folder` holds what it keeps on disk."""

    name: str
    folder: Path
    environment: Mapping[str, str]
    binds: Mapping[str, str] = field(default_factory=dict)
    """Folders of `folder` by the path at which the machine has them."""
    setup: Sequence[str] = ()
    """Shell lines that run before anything else does on it."""

    @property
    def init(self) -> Process:
        """The first process."""
        return Process(
            name=self.name,
            command=("sh", str(self.folder / "init.sh")),
            log=self.folder / "init.log",
            record=self.folder / "init.json",
            enter=lambda: ("unshare", *_NAMESPACES, "--"),
            environment=self.environment,
        )

    def start(self) -> None:
        """Make the namespaces and wait until they are set up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = list(self.setup)
        for target, source in self.binds.items():
            (self.folder / source).mkdir(parents=True, exist_ok=True)
            quoted = shlex.quote(str(self.folder / source))
            lines.append(f"mkdir -p {target} && mount --bind {quoted} {target}")
        script = _SCRIPT.format(
            overlaid=" ".join(_OVERLAID), name=self.name, setup="\n".join(lines)
        )
        (self.folder / "init.sh").write_text(script)
        self.init.start()
        wait(self._is_set_up, _PATIENCE_S, f"machine {self.name} is set up", 0.01)

    def _is_set_up(self) -> bool:
        if not self.init.is_running:
            raise MachineFailedError(f"machine {self.name} failed: {self.init.last_words()}")
        return Path(f"/proc/{self.init.pid}/comm").read_text().strip() == "sleep"

    @property
    def root(self) -> Path:
        """The machine's file system, as a path on the host."""
        return Path(f"/proc/{self.init.pid}/root")

    def enter(self) -> tuple[str, ...]:
        """Return the command that starts another inside the machine; its pid is the host's."""
        return ("nsenter", "--target", str(self.init.pid), *_NAMESPACES, "--no-fork", "--")

    def process(self, name: str, command: Sequence[str], log_dir: Path) -> Process:
        """Return a process that runs on this machine, started or not."""
        return Process(
            name=name,
            command=tuple(command),
            log=log_dir / f"{name}.log",
            record=self.folder / "processes" / f"{name}.json",
            enter=self.enter,
            environment=self.environment,
        )

    def run(
        self,
        command: Sequence[str | Path],
        stdin: str | bytes | None = None,
        timeout_s: float = _COMMAND_PATIENCE_S,
    ) -> str:
        """Run a command on this machine and return its output."""
        if not self.init.is_running:
            raise ClusterError(f"machine {self.name} is down")
        enter = ("nsenter", "--target", str(self.init.pid), *_NAMESPACES, "--")
        environment = self.environment
        return run([*enter, *command], stdin=stdin, environment=environment, timeout_s=timeout_s)
