"""Text files in and out for commands that turn files into files; trouble is one line."""

import os
from pathlib import Path

from rich.console import Console

from gshare.errors import InputError


def read(file: Path) -> str:
    """Return the text of `file`; InputError where it cannot be read or is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: {error.reason}"
        raise InputError(str(file), "file", file.name, problem) from error
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise InputError(str(file), "file", file.name, problem) from error


def write(text: str, file: Path | None, out: Console) -> None:
    """Write `text` to `file`, whole or not at all, or print it; InputError if it cannot be."""
    if file is None:
        out.file.write(text)
        return
    if file.is_dir():
        raise InputError("command line", "--output", str(file), "must be a file, not a folder")
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        problem = f"cannot be written: {error.strerror}"
        raise InputError("command line", "--output", str(file), problem) from error
