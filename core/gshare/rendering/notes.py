"""What a reader of rendered objects should know: which field was left out or changed, and why."""

from dataclasses import dataclass

from gshare.workload.fields import Field


@dataclass(frozen=True, slots=True)
class Note:
    """One remark about a field of a user's file."""

    source: str
    field: str
    text: str

    @classmethod
    def on(cls, field: Field, text: str) -> "Note":
        """Return a note on `field`."""
        return cls(field.source, field.path, text)

    def __str__(self) -> str:
        """Return it on one line, as errors are written."""
        return f"{self.source}: {self.field}: {self.text}"
