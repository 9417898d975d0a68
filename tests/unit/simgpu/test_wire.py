"""The Python control and the C library read one layout."""

import ctypes
import re
from pathlib import Path

from gshare_simgpu import native, profile

SOURCES = Path(native.__file__).parents[1] / "src"


def c_fields(header: str, struct: str) -> list[str]:
    body = re.search(rf"struct {struct} \{{(.*?)\}};", (SOURCES / header).read_text(), re.DOTALL)
    assert body is not None
    return re.findall(r"(\w+)(?:\[[\w]+\])?;", body[1])


def names(structure: type[ctypes.Structure]) -> list[str]:
    return [field[0] for field in structure._fields_]


def test_the_readings_have_the_fields_of_the_header() -> None:
    assert names(native._Totals) == c_fields("control/control.h", "gshare_simgpu_totals")
    assert names(native._Account) == c_fields("control/control.h", "gshare_simgpu_account")


def test_the_driver_reads_every_key_of_a_profile() -> None:
    source = (SOURCES / "engine/topology.c").read_text()
    known = set(re.findall(r"FIELD\((\w+)\),", source)) | {"name"}

    assert set(profile.Profile.__dataclass_fields__) <= known
