"""`gshare up` starts a model store on GPUs whose replicas announce a model, and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support import manifests, model_client
from tests.support.manifests import changed, deployment
from tests.support.node_run import Machine, asking, interrupt, read_until, until

from gshare import names
from gshare.runtime import stores
from gshare.runtime.daemons import store_serves

CLIENT = Path(model_client.__file__)
VIT = "vit=64Mi"
SHARED = '"shared": true'


def function(
    name: str, model: str | None = VIT, replicas: int = 1, how: str = "get_or_load", **more: str
) -> manifests.Object:
    """Return a Deployment whose replicas get 64 MiB of weights called `vit`."""
    command = [sys.executable, str(CLIENT), how, "vit", "64"]
    container = asking(manifests.container(command=command), 8, 10)
    announced = {} if model is None else {"model": model}
    document = deployment(name, container, **{"gpu_mem": "1Gi", **announced, **more})
    return changed(document, ("spec", "replicas"), replicas)


def of_namespace(document: manifests.Object, namespace: str) -> manifests.Object:
    return changed(document, ("metadata", "namespace"), namespace)


@pytest.fixture
def up(machine: Machine) -> Iterator[Any]:
    """Return a call that starts `gshare up` on Deployments; it ends with nothing left."""
    started: list[subprocess.Popen[str]] = []

    def start(*documents: manifests.Object, flags: tuple[str, ...] = ()) -> Any:
        file = machine.write(*documents)
        started.append(machine.start("up", file, "--simulated", *flags))
        return started[-1]

    yield start
    for each in started:
        if each.poll() is None:
            interrupt(each)
    assert not machine.state.exists()
    assert stores_of(machine) == []


def stores_of(machine: Machine) -> list[int]:
    return [
        process.pid for process in machine.processes() if "gshare_modelstore" in command_of(process)
    ]


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def said(lines: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what each replica said, by the name that its lines begin with."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        name, brace, rest = line.partition("{")
        if brace and rest.rstrip().endswith("}"):
            key = name.split()[0]
            found.setdefault(key, []).append(json.loads(brace + rest))
    return found


def gpu_folder(machine: Machine) -> Path:
    (folder,) = (machine.state / "gpus").iterdir()
    return folder


def answers_of(process: subprocess.Popen[str], count: int) -> dict[str, list[dict[str, Any]]]:
    """Return what replicas said once `count` of them have their answer."""
    lines: list[str] = []
    while sum('"found"' in line for line in lines) < count:
        lines += read_until(process, '"found"')
    return said(lines)


def test_of_two_replicas_one_loads_and_both_share(machine: Machine, up: Any) -> None:
    running = up(function("vit", replicas=2))

    found = answers_of(running, 2)

    answers = [lines[-1] for lines in found.values()]
    assert [answer["shared"] for answer in answers] == [True, True]
    assert sum({"loading": True} in lines for lines in found.values()) == 1
    kept = {"default/vit": 64 * 2**20}  # published when the store next looks at its folder
    until(lambda: stores.resident(gpu_folder(machine)) == kept)
    assert len(stores_of(machine)) == 1


def test_no_store_runs_where_no_replica_announces_a_model(machine: Machine, up: Any) -> None:
    running = up(function("vit", model=None))

    (answer,) = [lines[-1] for lines in answers_of(running, 1).values()]

    assert not answer["shared"]
    assert len(answer["warnings"]) == 1
    assert stores_of(machine) == []


def test_a_namespace_sees_nothing_of_anothers_models(machine: Machine, up: Any) -> None:
    first = of_namespace(function("vit"), "team-a")
    running = up(first)
    answers_of(running, 1)
    other = of_namespace(function("spy", how="get"), "team-b")
    spying = machine.start("up", machine.write(other, name="spy.yaml"))

    (answer,) = [lines[-1] for lines in answers_of(spying, 1).values()]
    interrupt(spying)

    assert (answer["found"], answer["keys"]) == (False, [])


def test_a_killed_store_is_started_again_and_replicas_go_on(machine: Machine, up: Any) -> None:
    running = up(function("vit"))
    answers_of(running, 1)
    (before,) = stores_of(machine)

    os.kill(before, signal.SIGKILL)

    until(lambda: stores_of(machine) not in ([], [before]))
    until(lambda: store_serves(gpu_folder(machine)))
    (pid,) = machine.pids().values()
    os.kill(pid, signal.SIGUSR1)
    (answer,) = [lines[-1] for lines in answers_of(running, 1).values()]
    assert answer["shared"]


# ViT-huge on a V100 as the paper has it: 2,101 MB a pod beside its weights of 2,434 MB.
PAPERS = {"model": "vit=2434Mi", "gpu_mem": "2101Mi"}


def test_replicas_that_fit_only_with_shared_weights_are_placed(machine: Machine, up: Any) -> None:
    running = up(function("vit", replicas=6, **PAPERS))

    found = answers_of(running, 6)

    assert all(lines[-1]["shared"] for lines in found.values())
    assert len(machine.ps()) == 6


def test_and_are_refused_without_a_store(machine: Machine) -> None:
    file = machine.write(function("vit", replicas=6, **PAPERS))

    ended = machine.run("up", file, "--simulated", "--model-store", "off", "--duration", 1)

    assert ended.returncode == 2
    assert "does not fit" in ended.stderr
    assert not machine.state.exists()


def test_without_a_store_a_replica_has_room_for_its_own_weights(machine: Machine, up: Any) -> None:
    running = up(function("vit"), flags=("--model-store", "off"))

    (answer,) = [lines[-1] for lines in answers_of(running, 1).values()]

    assert not answer["shared"]
    (row,) = machine.ps()
    assert row["memory_limit_bytes"] == (1024 + 64) * 2**20


def test_a_command_that_announces_a_model_shares_it(machine: Machine) -> None:
    command = [sys.executable, CLIENT, "get_or_load", "vit", "64"]
    running = machine.start(
        "run", "--sm", 8, "--quota", 10, "--gpu-mem", "1Gi", "--model", VIT, "--", *command
    )

    (answer,) = [json.loads(line) for line in read_until(running, '"found"') if "found" in line]
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=30)

    assert answer["shared"]
    assert not machine.state.exists()


def test_a_model_that_no_store_would_take_is_refused_in_one_line(machine: Machine) -> None:
    ended = machine.run("run", "--sm", 8, "--quota", 10, "--model", "=1Gi", "--", "true")

    assert ended.returncode != 0
    assert "command line: --model: '=1Gi': must be KEY or KEY=SIZE" in ended.stderr
    assert names.ANNOTATION_MODEL not in ended.stdout
