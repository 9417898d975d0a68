"""What the hook's C has in common with names.py."""

import re
from pathlib import Path

from gshare import names

GUEST = Path(__file__).resolve().parents[3] / "hook" / "src" / "hook" / "guest.c"


def test_hook_finds_a_containers_lease_where_the_node_mounts_it() -> None:
    source = GUEST.read_text()

    assert f'#define CONTAINER_LEASE "{names.CONTAINER_LEASE_DIR}"' in source
    assert re.findall(r'getenv\("(\w+)"\)', source) == [names.ENV_LEASE_DIR]
