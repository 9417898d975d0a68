"""What to load, and what came of it: the values of a load run."""

import dataclasses
import json
from pathlib import Path


class TargetError(Exception):
    """A target description that is not `NAME=URL[,users=N][,rate=R]`; its text says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """One URL under load.

    Each of `users` sends a request, waits for its answer and goes on (closed loop). With
    `rate_rps` above 0 the users together send at most that many requests per second (fixed rate);
    there must be users enough for rate times latency.
    """

    name: str
    url: str
    users: int = 4
    rate_rps: float = 0

    def __post_init__(self) -> None:
        """Refuse a target that no load can be put on."""
        if not self.url.startswith(("http://", "https://")):
            raise TargetError(f"{self.name}: {self.url!r} is not an http URL")
        if self.users < 1 or self.rate_rps < 0:
            raise TargetError(f"{self.name}: at least one user, and a rate of 0 or more")

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Return the target that `text` describes; raises TargetError where it describes none."""
        name, _, rest = text.partition("=")
        url, *options = rest.split(",")
        try:
            settings = dict(option.split("=") for option in options)
            users, rate = int(settings.pop("users", "4")), float(settings.pop("rate", "0"))
        except ValueError as error:
            raise TargetError(f"{text!r}: {error}") from error
        if settings or not name:
            raise TargetError(f"{text!r} is not NAME=URL[,users=N][,rate=R]")
        return cls(name, url, users, rate)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        rate = f",rate={self.rate_rps}" if self.rate_rps else ""
        return f"{self.name}={self.url},users={self.users}{rate}"


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What one target answered within the measured time."""

    name: str
    requests: int
    failures: int
    seconds: float
    requests_per_second: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def read_report(path: Path) -> tuple[Result, ...]:
    """Return the results that a load run wrote to `path`."""
    rows = json.loads(path.read_text(encoding="utf-8"))["targets"]
    return tuple(Result(**row) for row in rows)
