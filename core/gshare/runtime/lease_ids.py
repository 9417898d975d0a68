"""What leases on one machine are called: after their replicas, in few letters. Pure."""

import hashlib
import re
from typing import Final

LONGEST_LEASE_ID: Final = 39


def lease_id(replica: str) -> str:
    """Return a replica's name in the letters of lease ids; a long one is cut and marked."""
    plain = re.sub(r"[^a-z0-9-]", "-", replica.lower())
    if len(plain) <= LONGEST_LEASE_ID:
        return plain
    digest = hashlib.sha256(replica.encode()).hexdigest()[:6]
    return f"{plain[: LONGEST_LEASE_ID - 7]}-{digest}"
