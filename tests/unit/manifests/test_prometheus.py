"""Server, scrape configuration and the autoscaler's query mean the same counter and labels."""

import re
from pathlib import Path
from typing import Any

import yaml

from gshare import names
from gshare_autoscaler import queries
from gshare_example_server.arrivals import Arrivals
from gshare_example_server.metrics import Metrics

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "manifests" / "prometheus"
EXAMPLE = ROOT / "examples" / "autoscaling" / "resnet.yaml"
LABEL = re.sub(r"[^a-zA-Z0-9_]", "_", names.LABEL_FUNCTION)


def rules() -> list[dict[str, Any]]:
    """Return the relabelling of the scrape configuration."""
    (job,) = yaml.safe_load((PROMETHEUS / "scrape-config.yaml").read_text())["scrape_configs"]
    found: list[dict[str, Any]] = job["relabel_configs"]
    return found


def monitor() -> dict[str, Any]:
    """Return the PodMonitor's spec."""
    found: dict[str, Any] = yaml.safe_load((PROMETHEUS / "pod-monitor.yaml").read_text())["spec"]
    return found


def test_the_example_server_counts_what_the_default_query_asks_for() -> None:
    exposed = Metrics("resnet50", Arrivals()).text().decode()

    (counter,) = re.findall(r"\w+_total", queries.PRESETS[queries.DEFAULT])
    assert f"\n{counter} 0.0\n" in exposed


def test_every_label_of_the_default_query_is_set_by_the_scrape_configuration() -> None:
    asked = set(re.findall(r'(\w+)="', queries.PRESETS[queries.DEFAULT]))

    assert asked <= {rule.get("target_label") for rule in rules()}


def test_functions_are_found_by_their_label() -> None:
    said = [rule for rule in rules() if any(LABEL in each for each in rule["source_labels"])]

    assert [rule.get("action") or rule.get("target_label") for rule in said] == ["keep", "function"]
    assert monitor()["selector"]["matchExpressions"][0]["key"] == names.LABEL_FUNCTION
    (endpoint,) = monitor()["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [
        {"sourceLabels": [f"__meta_kubernetes_pod_label_{LABEL}"], "targetLabel": "function"}
    ]


def test_the_port_that_is_scraped_is_one_that_the_example_has() -> None:
    (scraped,) = (
        rule["regex"] for rule in rules() if "container_port_name" in rule["source_labels"][0]
    )
    deployment, _ = yaml.safe_load_all(EXAMPLE.read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert scraped in {port["name"] for port in container["ports"]}
    assert monitor()["podMetricsEndpoints"][0]["port"] == scraped
