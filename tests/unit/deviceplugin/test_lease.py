"""What a lease is, and whether a container may have one."""

from dataclasses import replace

import pytest
from tests.support import gpu_pods
from tests.support.gpu_pods import GIB, GPU, node_gpu

from gshare import names
from gshare.annotations import PodPlacement, encode_placement
from gshare.layout import Layout
from gshare.lease import limits_of
from gshare.models import ModelShare
from gshare.modes import Settler
from gshare.rectangles import Rectangle
from gshare_deviceplugin import lease
from gshare_deviceplugin.charge import Charge
from gshare_deviceplugin.lease import Lease, Owner, Refusal

OWNER = Owner("team", "resnet-0", "server")
GPUS = (node_gpu(),)
IDS = [str(number) for number in range(12)]


def judged(pod, ids=IDS, gpus=GPUS, owner=OWNER):
    return lease.judge(owner, pod, ids, gpus)


def held(lease_id: str, sm: int = 50, quota: int = 60, memory: int = GIB) -> Lease:
    return Lease(lease_id, lease_id, OWNER, f"uid-{lease_id}", "f", 1, GPU, sm, quota, 100, memory)


def admitted(wanted, others=(), gpu=None, before=None, resident=None):
    before = before or Layout()
    charge = Charge(gpu or node_gpu(), resident or {})
    return lease.admit(wanted, others, charge, before, Settler())


def test_the_digest_is_the_same_for_every_order_of_the_devices() -> None:
    assert lease.digest(["1", "20", "3"]) == lease.digest(["3", "1", "20"])
    assert lease.digest(["1", "20", "3"]) != lease.digest(["1", "20"])
    assert len(lease.digest(["1"])) == 32


def test_a_placed_pod_gets_what_it_asks_where_it_was_placed() -> None:
    pod = gpu_pods.pod(memory=2 * GIB, annotations={names.ANNOTATION_QUOTA_LIMIT: "80"})

    made = judged(pod)

    assert isinstance(made, Lease)
    assert (made.gpu_uuid, made.sm_percent, made.quota_request_percent) == (GPU, 12, 40)
    assert (made.quota_limit_percent, made.memory_bytes, made.function) == (80, 2 * GIB, "resnet")
    assert made.digest == lease.digest(IDS)


@pytest.mark.parametrize("hook", names.HOOKS)
def test_a_pod_says_how_it_reaches_the_hook(hook: str) -> None:
    made = judged(gpu_pods.pod(annotations={names.ANNOTATION_HOOK: hook}))

    assert isinstance(made, Lease)
    assert made.hook == hook


def test_a_pod_that_does_not_say_has_its_nodes_way() -> None:
    made = judged(gpu_pods.pod())

    assert isinstance(made, Lease)
    assert not made.hook


def test_a_way_to_the_hook_that_is_none_is_refused_with_its_name() -> None:
    refused = judged(gpu_pods.pod(annotations={names.ANNOTATION_HOOK: "audit"}))

    assert isinstance(refused, Refusal)
    assert "[gshare.io/hook]: 'audit': must be preload or shim" in refused.text


def without_placement(pod):
    del pod["metadata"]["annotations"][names.ANNOTATION_PLACEMENT]


def without_annotations(pod):
    del pod["metadata"]["annotations"]


def undecodable(pod):
    pod["metadata"]["annotations"][names.ANNOTATION_PLACEMENT] = "{]"


def smaller(pod):
    del pod["spec"]["containers"][0]["resources"]["requests"]
    pod["spec"]["containers"][0]["resources"]["limits"][names.RESOURCE_QUOTA] = "30"


def half(pod):
    del pod["spec"]["containers"][0]["resources"]["requests"]
    del pod["spec"]["containers"][0]["resources"]["limits"][names.RESOURCE_QUOTA]


def bad_limit(pod):
    pod["metadata"]["annotations"][names.ANNOTATION_QUOTA_LIMIT] = "30"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(without_placement, "was not placed by gshare's extender", id="no placement"),
        pytest.param(without_annotations, "was not placed", id="no annotations"),
        pytest.param(undecodable, "is not JSON", id="undecodable"),
        pytest.param(smaller, "must equal the container's limits, 12 and 30", id="other size"),
        pytest.param(half, names.RESOURCE_QUOTA, id="half a rectangle"),
        pytest.param(bad_limit, "must be at least the 40", id="limit below request"),
    ],
)
def test_a_pod_that_does_not_agree_with_its_placement_is_refused_for_good(change, says) -> None:
    pod = gpu_pods.pod()
    change(pod)

    refusal = judged(pod)

    assert isinstance(refusal, Refusal)
    assert not refusal.may_pass
    assert says in refusal.text
    assert "team/resnet-0" in refusal.text
    assert "\n" not in refusal.text


def test_a_placement_larger_than_what_the_kubelet_gave_is_refused() -> None:
    refusal = judged(gpu_pods.pod(), ids=IDS[:-1])

    assert isinstance(refusal, Refusal)
    assert "the kubelet gave 11 devices" in refusal.text


@pytest.mark.parametrize(
    "gpus",
    [
        pytest.param((), id="not here"),
        pytest.param((node_gpu("GPU-other"),), id="another"),
        pytest.param((node_gpu(is_healthy=False, note="XID 79"),), id="not healthy"),
    ],
)
def test_a_gpu_that_cannot_be_used_now_may_be_usable_later(gpus) -> None:
    refusal = judged(gpu_pods.pod(), gpus=gpus)

    assert isinstance(refusal, Refusal)
    assert refusal.may_pass


def test_another_container_of_the_pod_gets_nothing() -> None:
    refusal = judged(gpu_pods.pod(), owner=Owner("team", "resnet-0", "sidecar"))

    assert isinstance(refusal, Refusal)


def test_a_gpu_admits_what_some_layout_holds() -> None:
    before = Layout((("a", Rectangle(40, 25, 60, 50)),))

    arranged = admitted(held("b"), [held("a")], before=before)

    assert isinstance(arranged, Layout)
    assert set(arranged.keys) == {"a", "b"}


@pytest.mark.parametrize(
    ("wanted", "others", "changes", "says"),
    [
        pytest.param(held("c"), [held("a"), held("b"), held("d")], {}, "no layout", id="no room"),
        pytest.param(
            held("b", memory=16 * GIB), [held("a")], {}, "15Gi of memory left", id="no memory"
        ),
        pytest.param(held("b"), [held("a")], {"max_clients": 1}, "MPS clients", id="no client"),
    ],
)
def test_a_full_gpu_is_refused_until_others_have_left(wanted, others, changes, says) -> None:
    refusal = admitted(wanted, others, node_gpu(**changes))

    assert isinstance(refusal, Refusal)
    assert refusal.may_pass
    assert says in refusal.text


STORE = {"store_bytes": GIB // 2}


def sharing(lease_id: str, size_bytes: int | None = 4 * GIB, key: str = "vit") -> Lease:
    """Return a lease of 1 GiB of its own whose pod announces a model."""
    return replace(held(lease_id, 10, 10), model=key, model_bytes=size_bytes)


def test_a_gpu_has_the_weights_of_a_model_once() -> None:
    """Eleven pods of 1 GiB, 4 GiB of weights and the store are 15.5 GiB."""
    others = [sharing(str(number)) for number in range(10)]

    arranged = admitted(sharing("last"), others, node_gpu(**STORE))

    assert isinstance(arranged, Layout)


def test_weights_that_are_new_to_a_gpu_are_asked_with_the_pod() -> None:
    others = [sharing(str(number)) for number in range(10)]

    refusal = admitted(sharing("other", key="bert"), others, node_gpu(**STORE))

    assert isinstance(refusal, Refusal)
    assert "has 1.5Gi of memory left where 5Gi were placed" in refusal.text


def test_weights_of_no_announced_size_count_as_what_is_there() -> None:
    wanted = sharing("a", size_bytes=None)

    fits = admitted(wanted, [held("b", memory=14 * GIB)], node_gpu(**STORE))
    refusal = admitted(
        wanted, [held("b", memory=14 * GIB)], node_gpu(**STORE), resident={"team/vit": GIB}
    )

    assert isinstance(fits, Layout)
    assert isinstance(refusal, Refusal)


def test_a_pod_with_weights_of_its_own_has_none_of_the_store() -> None:
    placed = PodPlacement(GPU, 12, 40, 3 * GIB, ModelShare("vit", GIB), has_own_weights=True)
    pod = gpu_pods.pod(annotations={names.ANNOTATION_PLACEMENT: encode_placement(placed)})

    made = judged(pod)

    assert isinstance(made, Lease)
    assert (made.shared, made.memory_bytes) == (None, 3 * GIB)


def test_a_pod_that_was_placed_with_a_model_shares_it_within_its_namespace() -> None:
    placed = PodPlacement(GPU, 12, 40, 3 * GIB, ModelShare("vit", GIB))
    pod = gpu_pods.pod(annotations={names.ANNOTATION_PLACEMENT: encode_placement(placed)})

    made = judged(pod)

    assert isinstance(made, Lease)
    assert made.shared == ModelShare("vit", GIB, "team")


def test_every_start_has_an_id_of_its_own() -> None:
    made = judged(gpu_pods.pod(uid="ABCDEF01-2345-6789"))
    assert isinstance(made, Lease)

    assert lease.numbered(made, 0, ()).lease_id == "abcdef01-1"
    assert lease.numbered(made, 4, ()).lease_id == "abcdef01-5"
    assert lease.numbered(made, 0, {"abcdef01-1", "abcdef01-2"}).start == 3


def test_limits_say_what_the_lease_holds() -> None:
    made = limits_of(held("a"), [(20, 60)], 400_000)

    assert (made.lease_id, made.sm_percent, made.slices[0].start_percent) == ("a", 50, 20)
    assert (made.window_us, made.queue_budget_us) == (400_000, 5_000)


def test_a_container_starts_with_less_than_its_placement_where_its_pod_asks_so() -> None:
    asked = {names.ANNOTATION_QUOTA_REQUEST: "20", names.ANNOTATION_QUOTA_LIMIT: "30"}

    made = judged(gpu_pods.pod(annotations=asked))

    assert isinstance(made, Lease)
    assert (made.quota_request_percent, made.quota_limit_percent) == (20, 30)


def test_a_container_starts_with_no_more_than_its_placement() -> None:
    """More is judged beside all others, once it runs."""
    made = judged(gpu_pods.pod(annotations={names.ANNOTATION_QUOTA_REQUEST: "60"}))

    assert isinstance(made, Lease)
    assert (made.quota_request_percent, made.asked) == (40, None)


def test_a_container_that_starts_again_keeps_its_terms_whatever_its_pod_says_by_now() -> None:
    wrong = gpu_pods.pod(annotations={names.ANNOTATION_QUOTA_LIMIT: "much"})
    before = replace(held("a", quota=30), refused={names.ANNOTATION_QUOTA_LIMIT: "much"}, asked={})

    made = lease.judge(OWNER, wrong, IDS, GPUS, before)

    assert isinstance(made, Lease)
    assert (made.standing, made.asked) == (before.standing, {})
