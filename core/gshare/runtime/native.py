"""Finds the C parts: the hook, the token daemon and the simulated driver."""

from pathlib import Path

from gshare import errors


class Native:
    """The folder of compiled parts, and where each of them lies in it."""

    def __init__(self, root: Path) -> None:
        if not (root / "lib").is_dir():
            raise errors.GshareError(f"no compiled parts in {root}: run `make native` first")
        self.root = root
        self.hook = root / "lib" / "libgshare_hook.so"
        self.arbiter = root / "lib" / "libgshare_arbiter.so"
        self.tokend = root / "bin" / "gshare-tokend"
        self.simgpu = root / "simgpu"

    @classmethod
    def locate(cls, override: str | None = None) -> "Native":
        """Return the compiled parts: `override`, else those of the wheel, else of the checkout."""
        if override:
            return cls(Path(override))
        package = Path(__file__).resolve().parent.parent
        installed = package / "_native"
        return cls(installed if installed.is_dir() else package.parent.parent / "build" / "native")
