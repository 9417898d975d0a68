"""What pods got, from two readings of the agents' counters."""

from gshare import names
from gshare_cli.cluster_metrics import Got, got, parse

KEY = ("team", "web-0")


def page(used_s, clock_s, gpu="A", pod="web-0"):
    labels = f'namespace="team",pod="{pod}",container="main",gpu="{gpu}",lease="l"'
    return (
        f"{names.METRIC_LEASE_GPU_SECONDS}{{{labels}}} {used_s}\n"
        f"{names.METRIC_LEASE_MEMORY_BYTES}{{{labels}}} 1e9\n"
        f'{names.METRIC_GPU_CLOCK_SECONDS}{{gpu="{gpu}",model="V100"}} {clock_s}\n'
    )


def share(before, after):
    return got(parse([before]), parse([after]), KEY)


def test_a_share_is_of_the_gpus_own_clock():
    assert share(page(1.0, 50.0), page(1.8, 52.0)) == Got(40.0, 10**9)


def test_shared_memory_is_known_where_the_agent_tells_it():
    labels = 'namespace="team",pod="web-0",container="main",gpu="A",lease="l"'
    told = f"{names.METRIC_LEASE_SHARED_BYTES}{{{labels}}} 2e9\n"

    assert share(page(1, 50), page(1, 52)).shared_bytes is None
    assert share(page(1, 50), page(1, 52) + told).shared_bytes == 2 * 10**9


def test_each_node_has_its_own_clock():
    before = parse([page(0, 0, "A"), page(0, 1000, "B", "other")])
    after = parse([page(1, 2, "A"), page(1, 1010, "B", "other")])

    assert got(before, after, KEY).percent == 50
    assert got(before, after, ("team", "other")).percent == 10


def test_what_is_not_told_is_not_known():
    assert share("", "") == Got()
    assert share("", page(1, 2)).percent is None


def test_a_counter_that_began_anew_gives_no_share():
    assert share(page(9.0, 50.0), page(0.1, 52.0)).percent is None


def test_a_clock_that_stands_gives_no_share():
    assert share(page(1.0, 50.0), page(1.5, 50.0)).percent is None
