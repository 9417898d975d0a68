"""Which GPUs want a model store, and where it meets its GPU."""

from pathlib import Path

from gshare import names
from gshare.runtime import stores
from gshare.runtime.stores import Budget
from gshare_deviceplugin import modelstores
from gshare_deviceplugin.modelstores import ModelStoreSettings


def test_a_gpu_wants_a_store_where_its_folder_has_a_budget(tmp_path: Path) -> None:
    for name in ("GPU-b", "GPU-a", "GPU-c"):
        (tmp_path / name).mkdir()
    for name in ("GPU-b", "GPU-a"):
        stores.write_budget(tmp_path / name, Budget(1, 0))

    assert modelstores.wanted(tmp_path) == ("GPU-a", "GPU-b")


def test_a_node_without_leases_wants_no_store(tmp_path: Path) -> None:
    assert modelstores.wanted(tmp_path / "gpus") == ()


def test_a_store_sees_its_gpu_alone_and_the_daemon_of_that(tmp_path: Path) -> None:
    found = modelstores._environment(ModelStoreSettings(tmp_path), "GPU-a")

    assert found[names.ENV_VISIBLE_DEVICES] == "GPU-a"
    assert found[names.ENV_MPS_PIPE_DIRECTORY] == str(tmp_path / "mps" / "GPU-a" / "pipe")
