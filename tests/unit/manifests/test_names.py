"""The manifests say the same names, ports, paths and versions as the code does."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster import images

from gshare import names
from gshare_deviceplugin.__main__ import _parser
from gshare_deviceplugin.settings import NodeSettings, PluginSettings, RegistrarSettings

ROOT = Path(__file__).resolve().parents[3]
MANIFESTS = ROOT / "manifests"
FILES = sorted(path for path in MANIFESTS.rglob("*.yaml") if path.name != "kustomization.yaml")
EXAMPLES = sorted((ROOT / "examples" / "paper").glob("*.yaml"))
KUSTOMIZATIONS = sorted(MANIFESTS.rglob("kustomization.yaml"))
SCHEDULER_CONFIGS = (
    MANIFESTS / "scheduler" / "kube-scheduler-config.yaml",
    MANIFESTS / "second-scheduler" / "kube-scheduler-config.yaml",
    MANIFESTS / "scheduler" / "extender-entry.yaml",
)
OF_THE_CLUSTER = {
    "system:kube-scheduler", "system:volume-scheduler", "extension-apiserver-authentication-reader",
}  # fmt: skip
OF_NODES = {names.PART_NODE_AGENT, names.PART_EXTENDER, names.SCHEDULER}
ACCOUNTS = {*OF_NODES, names.PART_AUTOSCALER}

Object = dict[str, Any]


def documents(*paths: Path) -> list[Object]:
    """Return the objects in `paths`."""
    return [
        found for path in paths for found in yaml.safe_load_all(path.read_text()) if "kind" in found
    ]


def pods() -> Iterator[Object]:
    """Yield the pod specs of everything that runs, the patches of overlays left out."""
    for found in documents(*(path for path in FILES if "overlays" not in path.parts)):
        if found["kind"] in {"DaemonSet", "Deployment"}:
            yield found["spec"]["template"]["spec"]


def container(pod_of: str, name: str) -> Object:
    """Return one container of the DaemonSet or Deployment `pod_of`."""
    for found in documents(*FILES):
        if found.get("metadata", {}).get("name") == pod_of and "template" in found.get("spec", {}):
            for each in found["spec"]["template"]["spec"]["containers"]:
                if each["name"] == name and "image" in each:
                    return each
    raise AssertionError(f"no container {name} of {pod_of}")


def strings(value: object) -> Iterator[str]:
    """Yield every text in `value`, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def test_only_known_names_of_our_domain_are_said():
    known = {value for value in vars(names).values() if isinstance(value, str)}

    said = {
        found
        for text in strings(documents(*FILES, *EXAMPLES))
        for found in re.findall(rf"{re.escape(names.DOMAIN)}/[A-Za-z0-9_.-]+", text)
    }

    assert said <= known
    assert {names.RESOURCE_SM, names.RESOURCE_QUOTA, names.ANNOTATION_PLACEMENT} <= said


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_kustomization_names_what_is_there(path: Path):
    said = yaml.safe_load(path.read_text())
    patches = [patch["path"] for patch in said.get("patches", [])]
    generated = [
        file
        for each in said.get("configMapGenerator", [])
        for file in (*each.get("files", []), *each.get("envs", []))
    ]

    for name in (*said.get("resources", []), *said.get("components", []), *patches, *generated):
        assert (path.parent / name).exists()


def test_no_kustomization_moves_objects_to_another_namespace():
    """The second scheduler's right to read kube-system's settings would move with them."""
    assert not [path for path in KUSTOMIZATIONS if "namespace" in yaml.safe_load(path.read_text())]


def test_every_object_is_in_our_namespace_or_in_none():
    for found in documents(*FILES):
        namespace = found["metadata"].get("namespace") if "metadata" in found else None

        assert namespace in {None, names.NAMESPACE} or found["metadata"]["name"].endswith(
            "extension-apiserver-authentication-reader"
        )


def test_every_object_has_the_usual_labels():
    for found in documents(*(path for path in FILES if "overlays" not in path.parts)):
        if found["kind"] == "KubeSchedulerConfiguration":
            continue
        labels = found["metadata"]["labels"]

        assert labels["app.kubernetes.io/name"].startswith("gshare")
        assert labels["app.kubernetes.io/component"]


def test_images_are_those_that_we_build():
    said = {each["image"] for pod in pods() for each in pod["containers"]}

    assert said <= {images.reference(name) for name in images.NAMES}


def test_versions_are_those_of_the_projects():
    for project in (ROOT, ROOT / "examples" / "inference-server", ROOT / "modelstore"):
        said = tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"]

        assert said == images.VERSION
    for path in KUSTOMIZATIONS:
        for each in yaml.safe_load(path.read_text()).get("labels", []):
            assert each["pairs"]["app.kubernetes.io/version"] == images.VERSION


def test_examples_run_the_example_server_image():
    deployments = [found for found in documents(*EXAMPLES) if found["kind"] == "Deployment"]

    for found in deployments:
        [server] = found["spec"]["template"]["spec"]["containers"]
        assert server["image"] == images.reference("example-server")


def test_the_example_server_needs_what_the_project_says():
    """Each requirement of its own pyproject.toml is one of the project's or of its examples."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = whole["optional-dependencies"]
    known = {*whole["dependencies"], *extras["examples"], *extras["load"]}

    own = tomllib.loads((ROOT / "examples/inference-server/pyproject.toml").read_text())

    assert set(own["project"]["dependencies"]) <= known


@pytest.mark.parametrize("part", ["node-agent", "extender", "autoscaler", "example-server"])
def test_images_run_what_manifests_start(part: str):
    entry = re.search(r'ENTRYPOINT \["(.+)"\]', images.RECIPES[part].containerfile.read_text())
    started = {
        each["command"][0]
        for pod in (*pods(), *(found["spec"]["template"]["spec"] for found in documents(*EXAMPLES)
                               if found["kind"] == "Deployment"))
        for each in pod["containers"]
        if each["image"] == images.reference(part)
    }  # fmt: skip

    assert entry is not None
    assert started == {entry[1]}


def test_roles_and_accounts_exist():
    found = documents(*FILES)
    accounts = {one["metadata"]["name"] for one in found if one["kind"] == "ServiceAccount"}
    roles = {one["metadata"]["name"] for one in found if one["kind"] in {"Role", "ClusterRole"}}
    used = {pod["serviceAccountName"] for pod in pods() if "serviceAccountName" in pod}

    for one in found:
        if one["kind"].endswith("Binding") and "roleRef" in one:
            assert one["roleRef"]["name"] in roles | OF_THE_CLUSTER
            assert {subject["name"] for subject in one["subjects"]} <= accounts
    assert accounts == used == ACCOUNTS


def test_policies_name_our_service_accounts():
    text = (MANIFESTS / "base" / "policy-nodes.yaml").read_text()

    said = set(re.findall(r"system:serviceaccount:([a-z:-]+)'", text))

    assert said == {f"{names.NAMESPACE}:{account}" for account in OF_NODES}


def test_the_agents_arguments_and_variables_are_known():
    known = {value for key, value in vars(names).items() if key.startswith("ENV_")}
    agent = images.reference("node-agent")
    for pod in pods():
        for each in pod["containers"]:
            if each["image"] == agent:
                _parser({}).parse_args(each["args"])
                assert {variable["name"] for variable in each["env"]} <= known
    simulated = (MANIFESTS / "overlays/simulated/simulated.env").read_text()

    said = dict(line.split("=") for line in simulated.splitlines() if line[:1] not in {"", "#"})

    assert set(said) == {names.ENV_SIMULATE, names.ENV_TIME_SCALE}
    assert _parser(said).parse_args(["daemons"]).time_scale == int(said[names.ENV_TIME_SCALE])


def test_the_plugin_finds_its_folders_and_port_mounted():
    settings = PluginSettings(NodeSettings(), "")
    plugin = container(names.PART_NODE_AGENT, "plugin")

    needed = {settings.node.state, settings.pod_resources.parent, settings.cdi}

    assert needed <= mounts_of(plugin)
    assert plugin["ports"][0]["containerPort"] == settings.metrics_port


def test_the_registrar_finds_its_folders_mounted():
    settings = RegistrarSettings(NodeSettings())
    registrar = container(names.PART_NODE_AGENT, "registrar")

    assert {settings.node.state, settings.kubelet} <= mounts_of(registrar)


def mounts_of(found):
    return {Path(mount["mountPath"]) for mount in found["volumeMounts"]}


def test_the_extender_listens_where_schedulers_ask():
    for pod_of in (names.PART_EXTENDER, names.SCHEDULER):
        extender = container(pod_of, "extender")

        listen, metrics = extender["args"]

        assert listen == "--listen=127.0.0.1:10480"
        assert metrics == f"--metrics=:{names.PORT_EXTENDER_METRICS}"
        assert extender["ports"][0]["containerPort"] == names.PORT_EXTENDER_METRICS


@pytest.mark.parametrize(
    "path", SCHEDULER_CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_schedulers_ask_the_extender_alike(path: Path):
    [entry] = yaml.safe_load(path.read_text())["extenders"]

    assert entry == yaml.safe_load(SCHEDULER_CONFIGS[2].read_text())["extenders"][0]
    assert entry["urlPrefix"] == "http://127.0.0.1:10480"
    assert entry["managedResources"] == [
        {"name": name, "ignoredByScheduler": True}
        for name in (names.RESOURCE_SM, names.RESOURCE_QUOTA)
    ]


def test_schedulers_ask_about_all_nodes():
    first, second = (yaml.safe_load(path.read_text()) for path in SCHEDULER_CONFIGS[:2])

    assert first["percentageOfNodesToScore"] == second["percentageOfNodesToScore"] == 100
    assert second["profiles"] == [{"schedulerName": names.SCHEDULER}]


def test_the_second_scheduler_may_hold_its_own_lease():
    election = yaml.safe_load(SCHEDULER_CONFIGS[1].read_text())["leaderElection"]
    [role] = [
        found
        for found in documents(*FILES)
        if found["kind"] == "Role" and found["metadata"]["name"] == names.SCHEDULER
    ]

    held = {name for rule in role["rules"] for name in rule.get("resourceNames", [])}

    assert held == {election["resourceName"]}
    assert role["metadata"]["namespace"] == election["resourceNamespace"] == names.NAMESPACE


def test_only_the_mps_container_is_privileged():
    for pod in pods():
        for each in pod["containers"]:
            context = each["securityContext"]

            assert context["readOnlyRootFilesystem"]
            if each["name"] != "mps":
                assert not context.get("privileged", False)
                assert not context["allowPrivilegeEscalation"]
                assert context["capabilities"]["drop"] == ["ALL"]
