"""What a part of the benchmark found: rows of the report, and what stood on the GPUs."""

from dataclasses import dataclass, field

from gshare.modes import Timetable

from .fleet import Fleet, Laid, Set

Row = dict[str, object]


@dataclass(slots=True)
class Found:
    """Rows, every different set that was admitted, by way, and the fullest timetables, by mode."""

    rows: list[Row] = field(default_factory=list)
    sets: dict[str, set[Set]] = field(default_factory=dict)
    timetables: dict[str, list[Timetable]] = field(default_factory=dict)

    def add(self, other: "Found") -> None:
        """Take in what another part found."""
        self.rows += other.rows
        for way, sets in other.sets.items():
            self.sets.setdefault(way, set()).update(sets)
        for mode, timetables in other.timetables.items():
            self.timetables.setdefault(mode, []).extend(timetables)

    def note(self, way: str, fleet: Fleet) -> None:
        """Keep what stands on the GPUs of `fleet` now."""
        self.note_sets(way, fleet.sets)
        if isinstance(fleet, Laid) and fleet.relayouts:
            kept = self.timetables.setdefault(fleet.mode.name, [])
            kept += [gpu for gpu in fleet.gpus if gpu.keys]

    def note_sets(self, way: str, sets: list[Set]) -> None:
        """Keep `sets`, each once, whatever the order of its functions."""
        self.sets.setdefault(way, set()).update(tuple(sorted(each)) for each in sets if each)
