"""The doors' flags."""

import argparse
from pathlib import Path

import pytest

from gshare.runtime.address import Address
from gshare_autoscaler.doors import DoorSettings, ServiceAddress, TlsFiles, flags


def parsed(*words):
    parser = argparse.ArgumentParser()
    flags.add(parser)
    return flags.settings(parser.parse_args(words))


def test_without_flags_the_defaults_hold():
    assert parsed() == DoorSettings()


def test_each_flag_says_its_part():
    found = parsed(
        "--custom-metrics=127.0.0.1:1",
        "--keda=off",
        "--service=team/scaler:8443",
        "--no-registration",
        "--tls-cert-file=c",
        "--tls-key-file=k",
        "--tls-ca-file=a",
    )

    assert found == DoorSettings(
        api=Address("127.0.0.1", 1),
        keda=None,
        service=ServiceAddress("team", "scaler", 8443),
        tls=TlsFiles(Path("c"), Path("k"), Path("a")),
        registers=False,
    )


def test_a_service_without_a_port_has_the_usual_one():
    assert parsed("--service=team/scaler").service == ServiceAddress("team", "scaler", 443)


@pytest.mark.parametrize(
    "flag",
    ["--keda=nowhere", "--service=team", "--service=/x", "--service=a/b:c", "--custom-metrics=1"],
)
def test_a_flag_that_makes_no_sense_is_refused(flag, capsys):
    with pytest.raises(SystemExit):
        parsed(flag)

    assert flag.partition("=")[0] in capsys.readouterr().err


def test_serving_files_are_given_together():
    with pytest.raises(ValueError, match="all or none"):
        parsed("--tls-cert-file=c")
