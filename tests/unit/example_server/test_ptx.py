"""The generated PTX carries the kernel table for the simulated GPU and spins on a real one."""

import re

import pytest

from gshare_example_server import models, ptx

PRAGMA = re.compile(
    r"\.visible \.entry (\w+)\(\s*\.param \.u64 activations\s*\)\s*\{\s*"
    r'\.pragma "gshare\.simulated sm_demand=(\d+) duration_us=(\d+)";'
)


@pytest.mark.parametrize("name", models.names())
def test_each_row_of_a_table_becomes_an_entry_with_its_cost(name: str) -> None:
    model = models.load(name)

    text = ptx.generate(model).decode()

    assert PRAGMA.findall(text) == [
        (f"{name}_{kernel.name}", str(kernel.sm_demand), str(kernel.duration_us))
        for kernel in model.kernels
    ]


def test_an_entry_spins_for_its_duration_in_nanoseconds() -> None:
    model = models.load("resnet50")

    text = ptx.generate(model).decode()

    limits = re.findall(r"setp\.lt\.u64 %again, %elapsed, (\d+);", text)
    assert limits == [str(kernel.duration_us * 1000) for kernel in model.kernels]


def test_a_module_states_its_target_first_and_ends_with_nul() -> None:
    module = ptx.generate(models.load("rnnt"))

    assert module.startswith(b".version 7.0\n.target sm_70\n.address_size 64\n")
    assert module.count(b"\0") == 1
    assert module.endswith(b"\0")
