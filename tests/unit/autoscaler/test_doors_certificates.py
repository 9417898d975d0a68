"""When the serving certificate is renewed, and what stays the same then."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from gshare_autoscaler.doors import certificates

HOSTS = ("gshare-autoscaler.gshare-system.svc", "localhost")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def bundle():
    return certificates.made(HOSTS, NOW)


def authorities(bundle):
    return x509.load_pem_x509_certificates(bundle.authority.encode())


def test_a_new_certificate_is_good_and_signed_by_its_authority(bundle):
    leaf = x509.load_pem_x509_certificate(bundle.certificate.encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert certificates.flaw(bundle, HOSTS, NOW) == ""
    assert names.get_values_for_type(x509.DNSName) == list(HOSTS)
    leaf.verify_directly_issued_by(authorities(bundle)[0])


def test_a_certificate_is_renewed_a_month_before_its_end(bundle):
    assert certificates.flaw(bundle, HOSTS, NOW + 59 * DAY) == ""
    assert certificates.flaw(bundle, HOSTS, NOW + 61 * DAY) == "ends at 2027-02-22"


def test_a_renewal_keeps_the_authority(bundle):
    renewed = certificates.made(HOSTS, NOW + 61 * DAY, bundle)

    assert renewed.authority == bundle.authority
    assert renewed.certificate != bundle.certificate
    assert certificates.flaw(renewed, HOSTS, NOW + 61 * DAY) == ""


def test_an_authority_near_its_end_is_replaced_and_still_trusted(bundle):
    late = NOW + certificates.AUTHORITY_LIFE - 80 * DAY

    renewed = certificates.made(HOSTS, late, bundle)

    assert certificates.flaw(renewed, HOSTS, late) == ""
    new, old = authorities(renewed)
    assert old == authorities(bundle)[0]
    assert new.subject != old.subject


def test_an_authority_is_followed_by_one_predecessor_at_most(bundle):
    late = NOW + certificates.AUTHORITY_LIFE

    second = certificates.made(HOSTS, late, bundle)
    third = certificates.made(HOSTS, late + certificates.AUTHORITY_LIFE, second)

    assert authorities(third)[1:] == authorities(second)[:1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"certificate": "nothing"}, "cannot be read"),
        ({"key": "nothing"}, "cannot be read"),
        ({"authority": "nothing"}, "cannot be read"),
    ],
    ids=["certificate", "key", "authority"],
)
def test_what_cannot_be_read_is_a_flaw(bundle, changes, expected):
    assert certificates.flaw(replace(bundle, **changes), HOSTS, NOW).startswith(expected)


def test_a_key_of_another_certificate_is_a_flaw(bundle):
    other = certificates.made(HOSTS, NOW, bundle)

    mixed = replace(bundle, key=other.key)
    assert certificates.flaw(mixed, HOSTS, NOW) == "does not belong to its key"


def test_an_authority_that_did_not_sign_is_a_flaw(bundle):
    other = certificates.made(HOSTS, NOW)

    mixed = replace(bundle, authority=other.authority)
    assert certificates.flaw(mixed, HOSTS, NOW)


def test_a_certificate_for_other_hosts_is_a_flaw(bundle):
    found = certificates.flaw(bundle, ("gshare.other.svc",), NOW)

    assert found == f"is for {', '.join(HOSTS)}: must be for gshare.other.svc"


def test_without_the_authoritys_key_all_is_made_anew_and_the_old_one_trusted(bundle):
    renewed = certificates.made(HOSTS, NOW + DAY, replace(bundle, authority_key=""))

    new, old = authorities(renewed)
    assert old == authorities(bundle)[0]
    x509.load_pem_x509_certificate(renewed.certificate.encode()).verify_directly_issued_by(new)


def test_a_long_service_name_fits_a_common_name():
    hosts = (f"{'a' * 63}.{'b' * 63}.svc",)

    assert certificates.flaw(certificates.made(hosts, NOW), hosts, NOW) == ""
