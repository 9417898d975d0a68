"""Where a client finds its store, by names that the node uses too; and what it needs for that."""

import subprocess
import sys
from pathlib import Path

import pytest

from gshare import models, names
from gshare_modelstore import client_places, protocol
from gshare_modelstore.client_places import Place


def test_names_are_the_nodes():
    """The client has them again, since it is installed without the rest."""
    assert client_places.ENV_SOCKET == names.ENV_STORE_SOCKET
    assert client_places.ENV_LEASE_DIR == names.ENV_LEASE_DIR
    assert client_places.FILE_SOCKET == names.FILE_STORE_SOCKET
    assert client_places.FILE_IDENTITY == names.FILE_IDENTITY
    assert protocol.SHARED_PREFIX == models.SHARED_PREFIX


@pytest.mark.parametrize(
    "key", ["m", "a/b:c@d-e_f.9", "shared/m", "shared/", "", "-m", "m" * 200, "m" * 201, "é", "a b"]
)
def test_a_key_that_pods_may_announce_is_one_that_clients_may_ask_for(key: str):
    try:
        models.check_key(key)
        may_be_announced = True
    except ValueError:
        may_be_announced = False

    assert protocol.is_key(key) == may_be_announced


@pytest.mark.parametrize(
    ("path", "environment", "expected"),
    [
        pytest.param("/a", {"GSHARE_STORE_SOCKET": "/b"}, "/a", id="what is asked for"),
        pytest.param(None, {"GSHARE_STORE_SOCKET": "/b", "GSHARE_LEASE_DIR": "/c"}, "/b", id="set"),
        pytest.param(None, {"GSHARE_LEASE_DIR": "/c"}, "/c/store.sock", id="the lease's"),
        pytest.param(None, {"GSHARE_STORE_SOCKET": ""}, None, id="set to nothing"),
        pytest.param(None, {}, None, id="nothing"),
    ],
)
def test_the_nearest_name_wins(path: str | None, environment: dict[str, str], expected: str | None):
    assert client_places.locate(path, environment) == Place(expected)


def test_the_client_needs_neither_gshare_nor_cuda_nor_rich():
    """Images of users have Python and numpy."""
    package = Path(protocol.__file__).parents[1]
    code = f"""
import sys
sys.path.insert(0, {str(package)!r})
for name in ("gshare", "cuda", "rich", "torch"):
    sys.modules[name] = None
from gshare_modelstore.client import ModelStore
print(ModelStore.connect.__name__)
"""

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )

    assert done.stdout == "connect\n"
