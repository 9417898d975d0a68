"""The kinds of GPU that can be simulated: one TOML file a kind, in `profiles/`."""

import tomllib
from dataclasses import dataclass, fields
from importlib import resources

from .errors import SimulatedGpuError

_FOLDER = resources.files(__package__) / "profiles"


@dataclass(frozen=True, slots=True)
class Profile:
    """Constants of a kind of GPU; the keys of its TOML file and of the driver's `topology`."""

    name: str
    sm_count: int
    memory_bytes: int
    context_bytes: int
    """Device memory that a process takes by having a context."""
    link_bytes_per_s: int
    memory_bytes_per_s: int
    compute_major: int
    compute_minor: int
    clock_khz: int
    memory_clock_khz: int
    bus_bits: int
    l2_bytes: int
    shared_bytes_per_sm: int
    threads_per_sm: int
    blocks_per_sm: int
    power_limit_mw: int
    block_ns: int
    """Time of one block of a kernel whose PTX states no cost."""
    turn_us: int
    """Time slice of a process where MPS is off."""

    def __post_init__(self) -> None:
        """Refuse values that the driver could not work with."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "name":
                if not value or "\n" in value or len(value) > 63:
                    raise SimulatedGpuError(f"profile name: {value!r}: 1-63 characters, one line")
            elif not isinstance(value, int) or value < 0:
                raise SimulatedGpuError(f"profile {field.name}: {value!r}: not a whole number >= 0")
        if not 1 <= self.sm_count <= 65535:
            raise SimulatedGpuError(f"profile sm_count: {self.sm_count}: not within 1-65535")


def profiles() -> tuple[str, ...]:
    """Return the names of the kinds of GPU that are known."""
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in _FOLDER.iterdir()
            if entry.name.endswith(".toml")
        )
    )


def load(name: str) -> Profile:
    """Return the profile called `name`; raise SimulatedGpuError where there is none."""
    if name not in profiles():
        raise SimulatedGpuError(f"GPU profile {name!r}: unknown; there are {', '.join(profiles())}")
    return from_table(tomllib.loads((_FOLDER / f"{name}.toml").read_text()), name)


def from_table(table: dict[str, object], source: str) -> Profile:
    """Return the profile that a TOML table describes."""
    names = {field.name for field in fields(Profile)}
    if wrong := sorted(names.symmetric_difference(table)):
        raise SimulatedGpuError(f"GPU profile {source}: {', '.join(wrong)}: missing or unknown")
    return Profile(**table)  # type: ignore[arg-type]  # Profile checks the values
