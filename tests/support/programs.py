"""Programs that tests start: those of tests/clients and benchmarks, built when first wanted.

They lie beside the native parts, so that a sanitizer build has its own. Whoever is first builds;
others wait for it.
"""

import fcntl
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.daemon import native

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests" / "clients"
_STRICT = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-pthread", "-Wall", "-Wextra", "-Werror")


@functools.cache
def c(name: str, *flags: str, compiler: str = "cc") -> Path:
    """Return tests/clients/NAME.c, compiled with these flags; skip the test without compiler."""
    return _compiled(SOURCES / f"{name}.c", f"{compiler}-{name}{''.join(flags)}", compiler, *flags)


def of_text(text: str, folder: Path, *flags: str) -> Path:
    """Return the program of this C source, compiled in `folder`; skip the test without compiler."""
    source, program = folder / "program.c", folder / "program"
    source.write_text(text)
    compiler = shutil.which("cc") or _tool("gcc")
    subprocess.run([compiler, "-std=c11", *flags, "-o", program, source], check=True)
    return program


@functools.cache
def linked(name: str) -> Path:
    """Return tests/clients/NAME.c as a program that is linked with the driver."""
    return _linked(SOURCES / f"{name}.c", name)


@functools.cache
def load() -> Path:
    """Return the program that the benchmarks load GPUs with: benchmarks/quota/client.c."""
    return _linked(ROOT / "benchmarks" / "quota" / "client.c", "load")


@functools.cache
def go(name: str, *, cgo: bool) -> Path:
    """Return tests/clients/NAME, a Go module, as a program; skip the test without Go."""
    program = _folder() / f"go-{name}"
    with _alone():
        command = [_tool("go"), "build", "-o", str(program), "."]
        variables = {"CGO_ENABLED": "1" if cgo else "0", "GOFLAGS": "-buildvcs=false"}
        _fetch([_tool("go"), "mod", "download"], SOURCES / name)
        _run(command, SOURCES / name, variables)
    return program


@functools.cache
def rust(name: str) -> Path:
    """Return tests/clients/NAME, a Cargo package, as a program; skip the test without Rust."""
    target = _folder() / f"rust-{name}"
    with _alone():
        cargo = _tool("cargo")
        _fetch([cargo, "fetch", "--locked", "--quiet"], SOURCES / name)
        _run([cargo, "build", "--locked", "--quiet", "--target-dir", str(target)], SOURCES / name)
    return target / "debug" / name


def _compiled(source: Path, name: str, compiler: str, *flags: str) -> Path:
    program = _folder() / name
    with _alone():
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            draft = program.with_suffix(".new")
            _run([_tool(compiler), *_STRICT, "-o", str(draft), str(source), *flags], ROOT)
            draft.replace(program)
    return program


def _linked(source: Path, name: str) -> Path:
    driver = (f"-L{native().simgpu}", "-l:libcuda.so.1")
    return _compiled(source, name, "cc", f"-I{ROOT / 'benchmarks'}", *driver)


def _folder() -> Path:
    folder = native().root / "clients"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    with (_folder() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _fetch(command: list[str], folder: Path) -> None:
    """Fetch a program's modules; skip the test where the registry is out of reach."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{folder.name}: its modules cannot be fetched: {done.stderr.strip()[-200:]}")


def _run(command: list[str], folder: Path, variables: dict[str, str] | None = None) -> None:
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
