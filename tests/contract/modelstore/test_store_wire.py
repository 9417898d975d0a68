"""The model store's C header and its Python twin lay out every packet alike."""

import subprocess
from pathlib import Path

import pytest
from tests.support import programs

from gshare_modelstore import protocol
from gshare_modelstore.protocol import Ask, Mechanism, Op, Reply, Request, Status, Tell, Tier

HEADER = Path(__file__).resolve().parents[3] / "modelstore" / "include"
ENUMS = {"": Op, "STATUS_": Status, "TIER_": Tier, "MECHANISM_": Mechanism}
FLAGS = {**Ask.__members__, **Tell.__members__}
SIZES = {
    "KEY_BYTES": protocol.KEY_BYTES,
    "DIGEST_BYTES": protocol.DIGEST_BYTES,
    "UUID_BYTES": protocol.UUID_BYTES,
    "IPC_BYTES": protocol.IPC_BYTES,
    "TEXT_BYTES": protocol.TEXT_BYTES,
    "MAGIC": protocol.MAGIC,
    "VERSION": protocol.VERSION,
}

REQUEST = Request(Op.STORE, "key", b"d" * 32, Ask.PIN, Tier.HOST, 1, 2, 3)
REPLY = Reply(
    Status.FULL,
    serial=1,
    key="key",
    digest=b"d" * 32,
    flags=Tell.SEALED,
    tier=Tier.HOST,
    mechanism=Mechanism.IPC,
    references=2,
    content_bytes=3,
    total_bytes=4,
    mapped_bytes=5,
    index_bytes=6,
    gpu_uuid="GPU-1",
    ipc_handle=b"h" * 64,
    text="why",
)

# What a C program reads in the packets above: struct, field, format, value.
FIELDS = (
    *(("request", name, "u", value) for name, value in (
        ("magic", protocol.MAGIC), ("version", 1), ("op", 2), ("flags", 2), ("tier", 2),
        ("serial", 1), ("content_bytes", 2), ("total_bytes", 3))),
    ("request", "digest", "c", "d"),
    ("request", "key", "s", "key"),
    *(("reply", name, "u", value) for name, value in (
        ("magic", protocol.MAGIC), ("version", 1), ("status", 5), ("flags", 32), ("tier", 2),
        ("mechanism", 2), ("serial", 1), ("references", 2), ("content_bytes", 3),
        ("total_bytes", 4), ("mapped_bytes", 5), ("index_bytes", 6))),
    ("reply", "digest", "c", "d"),
    ("reply", "gpu_uuid", "s", "GPU-1"),
    ("reply", "ipc_handle", "c", "h"),
    ("reply", "key", "s", "key"),
    ("reply", "text", "s", "why"),
)  # fmt: skip


def line(struct: str, name: str, form: str) -> str:
    value = f"{struct}.{name}"
    shown = {
        "u": f'"%llu", (unsigned long long){value}',
        "c": f'"%c", {value}[0]',
        "s": f'"%s", (char *){value}',
    }[form]
    return f'printf("{struct}.{name} "); printf({shown}); printf("\\n");'


def program() -> str:
    """Return a program that reads both packets and prints fields, sizes and constants."""
    constants = [f"{prefix}{name}" for prefix, kind in ENUMS.items() for name in kind.__members__]
    constants += [f"FLAG_{name}" for name in FLAGS if name != "NONE"]
    lines = [
        "#include <stdio.h>",
        '#include "gshare/store_wire.h"',
        "int main(void) {",
        "struct gshare_store_request request; struct gshare_store_reply reply;",
        "if (fread(&request, sizeof request, 1, stdin) != 1) return 1;",
        "if (fread(&reply, sizeof reply, 1, stdin) != 1) return 1;",
        "if (fgetc(stdin) != EOF) return 1;",
        *(line(struct, name, form) for struct, name, form, _ in FIELDS),
        *(
            f'printf("{name} %llu\\n", (unsigned long long)GSHARE_STORE_{name});'
            for name in (*SIZES, *constants)
        ),
        "return 0; }",
    ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what the program reads in packets that Python packed."""
    reader = programs.of_text(program(), tmp_path_factory.mktemp("store_wire"), f"-I{HEADER}")
    packets = protocol.pack_request(REQUEST) + protocol.pack_reply(REPLY)
    output = subprocess.run([reader], input=packets, check=True, capture_output=True).stdout
    return dict(line.split(" ", 1) for line in output.decode().splitlines())


@pytest.mark.parametrize(("struct", "name", "_form", "value"), FIELDS)
def test_c_reads_what_python_packs(
    told: dict[str, str], struct: str, name: str, _form: str, value: object
) -> None:
    assert told[f"{struct}.{name}"] == str(value)


@pytest.mark.parametrize(("prefix", "kind"), ENUMS.items())
def test_enumerations_are_those_of_the_header(
    told: dict[str, str], prefix: str, kind: type[Op]
) -> None:
    ours = {f"{prefix}{name}": str(int(value)) for name, value in kind.__members__.items()}

    assert ours == {name: told[name] for name in ours}


def test_flags_and_sizes_are_those_of_the_header(told: dict[str, str]) -> None:
    flags = {f"FLAG_{name}": int(value) for name, value in FLAGS.items() if name != "NONE"}

    assert all(told[name] == str(value) for name, value in {**flags, **SIZES}.items())
