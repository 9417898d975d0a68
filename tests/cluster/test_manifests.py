"""A real API server takes every manifest, and refuses what the policies say, in their words.

Nothing is created but the namespace and the policies: each object is sent as a dry run.
"""

from collections.abc import Callable, Iterator

import pytest
from tests.cluster.harness import Cluster, ClusterError, wait
from tests.cluster.harness.api import ApiStatusError, Object
from tests.cluster.harness.settings import REPOSITORY
from tests.cluster.support.admission import (
    BAD,
    GOOD,
    PATHS,
    REFUSED_ANYWAY,
    annotated,
    asking,
    pod,
    workload,
)

from gshare import names

MANIFESTS = REPOSITORY / "manifests"
BASE = MANIFESTS / "base"
POLICIES = ("policy-pods.yaml", "policy-nodes.yaml")
NEEDED = ("namespace.yaml", "node-agent-rbac.yaml", "extender-rbac.yaml")
OVERLAYS = (".", "overlays/simulated", "overlays/second-scheduler")
AGENT = f"system:serviceaccount:{names.NAMESPACE}:{names.PART_NODE_AGENT}"
EXTENDER = f"system:serviceaccount:{names.NAMESPACE}:{names.PART_EXTENDER}"
TEMPLATES = tuple(kind for kind in PATHS if kind != "Pod")
DRY_RUN = "?dryRun=All"
FORGED = annotated(placement="{}")


@pytest.fixture(scope="module")
def policed(cluster: Cluster) -> Iterator[Cluster]:
    """Return the cluster with the policies in force, which it loses again if it had none."""
    known = cluster.api.items("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies")
    had_them = any(each["metadata"]["name"] == "gshare-pods" for each in known)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", *_files(*NEEDED, *POLICIES))
    wait(lambda: _answer(cluster, FORGED) != "", 30, "the policies to be in force")
    yield cluster
    if not had_them:
        cluster.kubectl("delete", *_files(*POLICIES))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_takes_every_object(policed: Cluster, overlay: str):
    rendered = policed.kubectl("kustomize", str(MANIFESTS / overlay))

    said = policed.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-",
        "--force-conflicts", stdin=rendered,
    )  # fmt: skip

    assert said.count("serverside-applied (server dry run)") == rendered.count("\nkind: ")


def test_policies_suit_the_types_they_match(policed: Cluster):
    """The API server checks each expression against the types it knows, and warns in the status."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/gshare-"
    for name in ("pods", "nodes"):
        wait(
            lambda name=name: policed.api.get(path + name)["status"].get("observedGeneration"),
            30,
            "the policies to be checked",
        )

        warnings = policed.api.get(path + name)["status"].get("typeChecking", {})

        assert warnings.get("expressionWarnings", []) == []


@pytest.mark.parametrize("wanted", GOOD.values(), ids=GOOD)
def test_pods_that_ask_rightly_are_admitted(policed: Cluster, wanted: Object):
    assert _answer(policed, wanted) == ""


@pytest.mark.parametrize(("wanted", "message"), BAD.values(), ids=BAD)
def test_pods_that_ask_wrongly_are_refused(policed: Cluster, wanted: Object, message: str):
    assert message in _answer(policed, wanted)


@pytest.mark.parametrize(("wanted", "message"), REFUSED_ANYWAY.values(), ids=REFUSED_ANYWAY)
def test_what_extended_resources_forbid_is_refused(policed: Cluster, wanted: Object, message: str):
    assert message in _answer(policed, wanted)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_workloads_that_ask_rightly_are_admitted(policed: Cluster, kind: str):
    assert _answer(policed, workload(kind, pod())) == ""


@pytest.mark.parametrize("kind", TEMPLATES)
def test_workloads_are_refused_by_the_path_of_their_template(policed: Cluster, kind: str):
    where = "spec.jobTemplate.spec.template" if kind == "CronJob" else "spec.template"

    limits = _answer(policed, workload(kind, pod(asking(120, 40))))
    annotation = _answer(policed, workload(kind, annotated(quota_limit="30")))
    forged = _answer(policed, workload(kind, annotated(placement="{}")))

    assert f"gshare: {where}.container server: limits: gshare.io/vgpu-sm: 120: must be" in limits
    assert f"gshare: {where}.metadata.annotations: gshare.io/quota-limit: 30: must" in annotation
    assert f"gshare: {where}.metadata.annotations: gshare.io/placement: is written" in forged


def test_a_placement_on_the_workload_itself_is_refused(policed: Cluster):
    forged = workload("Deployment", pod())
    forged["metadata"]["annotations"] = {names.ANNOTATION_PLACEMENT: "{}"}

    said = _answer(policed, forged)

    assert "gshare: metadata.annotations: gshare.io/placement: is written by gshare alone" in said


def test_a_placement_comes_with_the_binding_and_stays(policed: Cluster):
    """The Binding is not refused; afterwards nobody changes or removes what it wrote."""
    path = f"{PATHS['Pod']}/bound"
    made = pod(name="bound")
    made["spec"]["schedulerName"] = "of-this-test"
    policed.api.post(PATHS["Pod"], made)
    try:
        forged = _annotate(policed, path, {names.ANNOTATION_PLACEMENT: "{}"})
        policed.api.post(f"{path}/binding", _binding("bound"))
        changed = _annotate(policed, path, {names.ANNOTATION_PLACEMENT: "{}"})
        removed = _annotate(policed, path, {names.ANNOTATION_PLACEMENT: None})
        limit = _annotate(policed, path, {names.ANNOTATION_QUOTA_LIMIT: "30"})
        terms = {names.ANNOTATION_QUOTA_LIMIT: "30", names.ANNOTATION_QUOTA_REQUEST: "30"}
        both = _annotate(policed, path, terms)
        nonsense = _annotate(policed, path, {names.ANNOTATION_QUOTA_REQUEST: "101"})
        other = _annotate(policed, path, {"example.com/other": "1"})
    finally:
        policed.api.delete(f"{path}?gracePeriodSeconds=0")

    assert "with the binding: remove it" in forged
    assert "with the binding: leave it as it is" in changed
    assert "with the binding: leave it as it is" in removed
    assert "gshare.io/quota-limit: 30: must be at least the 40" in limit
    assert both == other == ""
    assert "gshare.io/quota-request: 101: must be a whole percent" in nonsense


def test_what_was_there_before_the_policy_can_still_be_scaled(policed: Cluster):
    """A Deployment that the policy would refuse is changed where it does not ask."""
    bad = workload("Deployment", pod(asking(12)))
    bad["spec"]["replicas"] = 0
    _without_policy(policed, lambda: policed.api.post(PATHS["Deployment"], bad))
    path = f"{PATHS['Deployment']}/asks"
    try:
        scaled = _refusal(policed, path, {"spec": {"replicas": 1}})
        container = {"name": "server", "image": "other", "resources": asking(12)["resources"]}
        template = {"spec": {"template": {"spec": {"containers": [container]}}}}
        changed = _refusal(policed, path, template)
    finally:
        policed.api.delete(path)

    assert scaled == ""
    assert "gshare.io/vgpu-quota: is missing" in changed


ALLOWED_WRITES = {
    "the agent writes its inventory": (names.ANNOTATION_GPUS, AGENT, None),
    "the agent of this node writes its inventory": (names.ANNOTATION_GPUS, AGENT, "own"),
    "the agent writes terms": (names.ANNOTATION_IN_FORCE, AGENT, "own"),
    "the agent writes models": (names.ANNOTATION_RESIDENT, AGENT, "own"),
    "an extender nudges": (names.ANNOTATION_FREED, EXTENDER, None),
}
REFUSED_WRITES = {
    "a user writes an inventory": (
        names.ANNOTATION_GPUS, "jane", None, "gshare.io/gpus: is written by the node agent alone"
    ),
    "a user writes terms": (
        names.ANNOTATION_IN_FORCE, "jane", None,
        "gshare.io/in-force: is written by the node agent alone",
    ),
    "a user writes models": (
        names.ANNOTATION_RESIDENT, "jane", None,
        "gshare.io/resident: is written by the node agent alone",
    ),
    "an agent writes another node's terms": (
        names.ANNOTATION_IN_FORCE, AGENT, "elsewhere", "gshare.io/in-force: is not for the node"
    ),
    "an extender writes an inventory": (
        names.ANNOTATION_GPUS, EXTENDER, None, f"by the node agent alone, not by {EXTENDER}"
    ),
    "an agent writes another node's inventory": (
        names.ANNOTATION_GPUS, AGENT, "elsewhere", "is not for the node agent of elsewhere to write"
    ),
    "a user nudges": (
        names.ANNOTATION_FREED, "jane", None, "gshare.io/freed: is written by extenders alone"
    ),
    "an agent nudges": (names.ANNOTATION_FREED, AGENT, None, "is written by extenders alone"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "user", "node"), ALLOWED_WRITES.values(), ids=ALLOWED_WRITES
)
def test_parts_write_their_own_annotation_on_nodes(
    policed: Cluster, annotation: str, user: str, node: str | None
):
    assert _annotate_node(policed, annotation, user, node) == ""


@pytest.mark.parametrize(
    ("annotation", "user", "node", "message"), REFUSED_WRITES.values(), ids=REFUSED_WRITES
)
def test_nobody_else_writes_them(
    policed: Cluster, annotation: str, user: str, node: str | None, message: str
):
    assert message in _annotate_node(policed, annotation, user, node)


def _files(*names_in_base: str) -> list[str]:
    return [word for name in names_in_base for word in ("-f", str(BASE / name))]


def _answer(cluster: Cluster, wanted: Object) -> str:
    """Return what the API server says against `wanted`, or nothing."""
    try:
        cluster.api.post(PATHS[wanted["kind"]] + DRY_RUN, wanted)
    except ApiStatusError as error:
        return error.message
    return ""


def _refusal(cluster: Cluster, path: str, change: Object) -> str:
    """Return what the API server says against `change`, or nothing."""
    try:
        cluster.api.patch(path + DRY_RUN, change)
    except ApiStatusError as error:
        return error.message
    return ""


def _annotate(cluster: Cluster, path: str, annotations: dict[str, str | None]) -> str:
    return _refusal(cluster, path, {"metadata": {"annotations": annotations}})


def _binding(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "annotations": {names.ANNOTATION_PLACEMENT: '{"gpu":"GPU-1"}'}},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "nowhere"},
    }


def _without_policy(cluster: Cluster, act: Callable[[], object]) -> None:
    """Do `act` while the policy on pods is not bound."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/gshare-pods"
    cluster.api.patch(path, {"spec": {"validationActions": ["Audit"]}})
    try:
        wait(lambda: _answer(cluster, FORGED) == "", 30, "the policy to be out of force")
        act()
    finally:
        cluster.api.patch(path, {"spec": {"validationActions": ["Deny"]}})
        wait(lambda: _answer(cluster, FORGED) != "", 30, "the policy to be in force again")


def _annotate_node(cluster: Cluster, annotation: str, user: str, node: str | None) -> str:
    """Return what is said against `user`, on the node `node` if its token says one."""
    name = cluster.nodes[0].name
    words = ["annotate", "node", name, f"{annotation}=[]", "--overwrite", "--dry-run=server"]
    words.append(f"--as={user}")
    if user == "jane":
        words.append("--as-group=system:masters")
    if node is not None:
        caller = name if node == "own" else node
        words.append(f"--as-user-extra=authentication.kubernetes.io/node-name={caller}")
    try:
        cluster.kubectl(*words)
    except ClusterError as error:
        return str(error)
    return ""
