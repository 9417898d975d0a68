"""What the node knows of the model store's wire and files without importing it."""

from gshare import models, names
from gshare.runtime import stores
from gshare_modelstore import folders, protocol
from gshare_modelstore.protocol import Op, Request


def test_the_node_asks_a_store_in_the_stores_own_words() -> None:
    assert protocol.pack_request(Request(Op.RELEASE, "alive")) == stores._QUESTION


def test_the_node_looks_at_the_lock_that_a_store_holds() -> None:
    assert names.FILE_STORE_LOCK == folders._LOCK


def test_all_mean_the_same_by_a_shared_key() -> None:
    assert models.SHARED_PREFIX == protocol.SHARED_PREFIX
