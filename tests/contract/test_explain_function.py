"""`gshare explain FUNCTION`: what the autoscaler's page and HPAs become on a terminal."""

import json
import sys
import urllib.request

import pytest
from tests.support.autoscaler import config_map, deployment, serving
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.fake_api_troubles import Answer
from tests.support.fake_prometheus import FakePrometheus, constant

from gshare import names
from gshare_autoscaler.answers import Target
from gshare_cli import __main__ as command

PODS = f"/api/v1/namespaces/{names.NAMESPACE}/pods"
PAGE = f"{PODS}/autoscaler-0:{names.PORT_AUTOSCALER_METRICS}/proxy/v1/functions/team/resnet"


@pytest.fixture
def server():
    with FakeApiServer() as fake:
        yield fake


@pytest.fixture
def run(server, tmp_path, monkeypatch, capsys):
    """Run `kubectl gshare`; return the exit code, standard output and standard error."""

    def run_(*arguments):
        options = ["--kubeconfig", str(server.kubeconfig(tmp_path))]
        monkeypatch.setattr(sys, "argv", ["gshare", *arguments, *options])
        monkeypatch.setenv("COLUMNS", "400")
        with pytest.raises(SystemExit) as ended:
            command.main_of_kubectl()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run_


@pytest.fixture
def autoscaler(server, tmp_path):
    """Have an autoscaler decide over one function, and its pod show that page."""
    server.put("deployments", deployment("thin", replicas=2, ready=1))
    server.put("deployments", deployment("whole", 24, 100, replicas=0))
    server.put("deployments", deployment("bare", limits={}))
    server.put("configmaps", config_map())
    with FakePrometheus(rate=constant(60.0)) as prometheus:
        with serving(server, prometheus, tmp_path) as service:
            wait_until(lambda: service.answers.get(Target("team", "thin")))
            wait_until(lambda: service.answers.get(Target("team", "thin")).replicas)
            url = f"http://127.0.0.1:{service.port}/v1/functions/team/resnet"
            wait_until(service.rounds.standings)
            server.texts[PAGE] = urllib.request.urlopen(url).read().decode()
        put_pod(server)
        yield


def put_pod(server):
    server.put(
        "pods",
        {
            "metadata": {
                "name": "autoscaler-0",
                "namespace": names.NAMESPACE,
                "labels": {"app.kubernetes.io/name": names.PART_AUTOSCALER},
            },
            "spec": {"containers": []},
            "status": {"phase": "Running"},
        },
    )


def put_hpa(server, target, highest, lowest=0, **condition):
    server.put(
        "horizontalpodautoscalers",
        {
            "metadata": {"name": f"{target}-hpa", "namespace": "team"},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": target},
                "minReplicas": lowest,
                "maxReplicas": highest,
            },
            "status": {"conditions": [condition] if condition else []},
        },
    )


@pytest.mark.usefixtures("autoscaler")
def test_a_function_is_explained_by_its_name(server, run):
    put_hpa(server, "thin", 10)
    put_hpa(server, "whole", 10)

    code, out, _ = run("explain", "resnet")

    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == "function team/resnet should have 3 of thin, 0 of whole for 60.0 req/s"
    assert lines[1].startswith("decided at 20")
    assert lines[2] == "rate: 60.0 req/s offered, 60.0 forecast, 75.0 planned for"
    assert lines[3] == "capacity: 35.0 req/s of Ready replicas, 40.0 are missing"
    assert lines[4] == "plan: 3 of 12x40 (SM x quota): 105.0 req/s for 0.188 GPUs"
    assert lines[6] == "SLO: p99 of 69 ms; policy: exact; scale-down window: 300 s"
    assert lines[8] == (
        "Deployment thin (12 % of the SMs for 40 % of the time): 2 asked, 1 Ready; HPAs are told "
        "3; a replica serves 35.0 req/s at a p99 of 60.0 ms for 0.062 GPUs and 1Gi (measured)"
    )
    assert lines[10].startswith("Deployment bare is not scaled: BadShape: Deployment team/bare")


@pytest.mark.usefixtures("autoscaler")
def test_what_keeps_hpas_from_the_number_is_said(server, run):
    trouble = {
        "type": "ScalingActive",
        "status": "False",
        "reason": "FailedGetObjectMetric",
        "message": "unable to get metric gshare_desired_replicas",
    }
    put_hpa(server, "thin", 2)
    put_hpa(server, "whole", 5, 1, **trouble)

    _, out, _ = run("explain", "function/resnet")

    assert "HPA thin-hpa: its maxReplicas, 2, keeps it from 3" in out
    assert "HPA whole-hpa: its minReplicas, 1, keeps it from 0" in out
    assert "HPA whole-hpa: FailedGetObjectMetric: unable to get metric" in out
    assert out.count("no HPA scales it") == 1


@pytest.mark.usefixtures("autoscaler")
def test_the_page_is_printed_as_json(run):
    _, out, _ = run("explain", "team/resnet", "--json")

    assert json.loads(out)["decision"]["plan"] == {"12x40": 3}


def test_hpas_that_may_not_be_read_are_left_out(server, run, autoscaler):  # noqa: ARG001
    path = "/apis/autoscaling/v2/namespaces/team/horizontalpodautoscalers"
    server.refused[path] = Answer(403, "Forbidden")

    code, out, _ = run("explain", "resnet")

    assert code == 0
    assert "HPA " not in out


def test_a_name_of_neither_is_refused(server, run):
    put_pod(server)
    path = PAGE.replace("/resnet", "/none")
    server.refused[path] = Answer(404, "NotFound", "no Deployment is of it")

    code, _, err = run("explain", "none")

    assert code == 1
    assert err == "gshare: there is no pod and no function 'none' in the namespace 'team'\n"


def test_a_function_without_an_autoscaler_says_what_to_apply(run):
    code, _, err = run("explain", "function/resnet")

    assert code == 1
    assert err == (
        "gshare: no pod of gshare-autoscaler runs in the namespace gshare-system: "
        "apply manifests/autoscaler\n"
    )


def test_an_autoscaler_that_does_not_answer_is_said(server, run):
    put_pod(server)
    server.refused[PAGE] = Answer(503, "ServiceUnavailable", "gshare does not know them yet")

    code, _, err = run("explain", "resnet")

    assert code == 1
    assert err.startswith("gshare: there is no pod 'resnet' in the namespace 'team'; of functions")
    assert "gshare does not know them yet" in err
