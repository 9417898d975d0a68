"""Where a process listens, as its flags say it."""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. No host means every address of the machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Return what HOST:PORT or :PORT says; ValueError where it is neither."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
            raise ValueError(f"{text!r}: must be HOST:PORT or :PORT, such as 127.0.0.1:10480")
        return cls(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 (what no host means)

    @classmethod
    def argument(cls, text: str) -> "Address":
        """Do the same as the `type` of an argument of argparse, which shows why it refuses."""
        try:
            return cls.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
