"""PyTorch shares weights on CPUs without a copy: Debian's, with its Python and its older numpy."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import store_server
from tests.support.store_server import StoreServer

ROOT = Path(__file__).resolve().parents[3]
DEBIANS_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with store_server.serving(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _has_torch() -> None:
    if shutil.which(DEBIANS_PYTHON) is None:
        pytest.skip(f"no {DEBIANS_PYTHON}")
    words = [DEBIANS_PYTHON, "-c", "import torch, numpy"]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip(f"{DEBIANS_PYTHON} has no PyTorch (Debian: python3-torch)")


def run(code: str, server: StoreServer) -> str:
    done = subprocess.run(
        [DEBIANS_PYTHON, "-c", PRELUDE + code, server.socket],
        env={"PYTHONPATH": str(ROOT / "modelstore")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


PRELUDE = """
import gc, sys
import numpy as np
import torch
from gshare_modelstore.client import ModelStore

store = ModelStore.connect(sys.argv[1])
"""


def test_every_dtype_comes_back_as_it_was_and_where_it_lies(server: StoreServer):
    said = run(
        """
made = {
    "parameter": torch.nn.Linear(8, 4).weight,
    "bfloat16": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
    "half": torch.ones(2, dtype=torch.half),
    "complex": torch.ones(2, dtype=torch.complex64),
    "scalar": torch.tensor(3),
    "transposed": torch.arange(6.0).reshape(2, 3).t(),
}
weights = store.get_or_load("dtypes", lambda: made)
for name, tensor in weights.items():
    shown = torch.from_dlpack(tensor)
    assert shown.dtype == made[name].dtype and shown.shape == made[name].shape, name
    assert torch.equal(shown, made[name]), name
    assert shown.data_ptr() == tensor.address, name
print(weights.is_shared)
""",
        server,
    )

    assert said == "True"


def test_booleans_are_read(server: StoreServer):
    """This PyTorch has no DLPack for them in either direction; numpy shows them."""
    said = run(
        """
weights = store.get_or_load("mask", lambda: {"mask": torch.tensor([True, False])})
print(torch.from_numpy(weights["mask"].numpy().copy()))
""",
        server,
    )

    assert said == "tensor([ True, False])"


def test_a_tensor_keeps_the_weights_in_use(server: StoreServer):
    said = run(
        """
def references():
    gc.collect()
    return {each.key: each.references for each in store.list()}["held"]

weights = store.get_or_load("held", lambda: {"w": torch.ones(4)})
shown = torch.from_dlpack(weights["w"])
del weights
before = references()
del shown
print(before, references())
""",
        server,
    )

    assert said == "1 0"


def test_a_program_that_ends_with_tensors_in_use_ends_well(server: StoreServer):
    said = run(
        """
shown = torch.from_dlpack(store.get_or_load("end", lambda: {"w": torch.ones(4)})["w"])
torch.kept = shown
""",
        server,
    )

    assert said == ""
