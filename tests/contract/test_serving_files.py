"""A serving certificate that someone else renews: read from files, and read again."""

import ssl

import pytest
from tests.cluster.harness.certificates import Authority
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.front_proxy import (
    LOOPBACK,
    NAME,
    Client,
    FrontProxy,
    answers_with,
    open_doors,
    value_path,
)

from gshare import names
from gshare_autoscaler.doors import DoorSettings, TlsFiles


@pytest.fixture
def proxy(tmp_path):
    return FrontProxy(tmp_path)


@pytest.fixture
def fake(proxy):
    with FakeApiServer() as found:
        found.put("configmaps", proxy.config_map(NAME))
        yield found


def settings(folder):
    issuer = Authority(folder, "issuer")
    issuer.create()
    pair = issuer.issue("serving", "serving", hosts=("gshare-autoscaler.gshare-system.svc",))
    files = TlsFiles(pair.certificate, pair.key, issuer.certificate)
    return DoorSettings(api=LOOPBACK, keda=None, tls=files, registers=False, upkeep_s=0.05), issuer


def serial(doors, proxy):
    client = Client(doors.ports["custom_metrics"], proxy.context())
    client.connection.connect()
    return ssl.DER_cert_to_PEM_cert(client.connection.sock.getpeercert(binary_form=True))


def test_the_files_certificate_is_served_and_no_secret_is_made(fake, proxy, tmp_path):
    given, _ = settings(tmp_path)

    with open_doors(fake, tmp_path, answers_with(), given) as doors:
        seen = serial(doors, proxy)

    assert seen.strip() == given.tls.certificate.read_text().strip()
    assert fake.find("secrets", names.NAMESPACE, "gshare-autoscaler-serving") is None
    assert fake.find("apiservices", "", "v1beta2.custom.metrics.k8s.io") is None


def test_a_renewed_certificate_is_served_without_a_restart(fake, proxy, tmp_path):
    given, issuer = settings(tmp_path)

    with open_doors(fake, tmp_path, answers_with(), given) as doors:
        client = Client(doors.ports["custom_metrics"], proxy.context())
        before = serial(doors, proxy)
        assert client.get(value_path())[0] == 200
        issuer.issue("serving", "serving", hosts=("gshare-autoscaler.gshare-system.svc",))
        wait_until(lambda: serial(doors, proxy) != before)
        status, _ = client.get(value_path())

    assert status == 200


def test_a_file_that_went_away_is_told_and_the_last_certificate_goes_on(fake, proxy, tmp_path):
    given, _ = settings(tmp_path)

    with open_doors(fake, tmp_path, answers_with(), given) as doors:
        given.tls.key.unlink()
        wait_until(lambda: "serving certificate" in doors.trouble)
        trouble = doors.trouble
        status, _ = Client(doors.ports["custom_metrics"], proxy.context()).get(value_path())

    assert str(given.tls.key) in trouble
    assert status == 200
