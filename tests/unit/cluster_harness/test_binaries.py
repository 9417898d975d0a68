"""What is built, from what, and where it is kept."""

from tests.cluster.harness import binaries


def test_staging_modules_are_replaced_by_the_release_they_belong_to():
    """k8s.io/utils has a version of its own, which starts like that of a staging module."""
    theirs = """module k8s.io/kubernetes

go 1.26.0

require (
\tk8s.io/api v0.0.0
\tk8s.io/client-go v0.0.0
\tk8s.io/utils v0.0.0-20260108192941-914a6e750570
)
"""

    made = binaries.go_mod(binaries.Module("k8s.io/kubernetes", "1.37.2", ()), theirs)

    assert made == (
        "module gshare.test/build\n"
        "go 1.26.0\n"
        "require k8s.io/kubernetes v1.37.2\n"
        "replace (\n"
        "\tk8s.io/api => k8s.io/api v0.37.2\n"
        "\tk8s.io/client-go => k8s.io/client-go v0.37.2\n"
        ")\n"
    )


def test_a_module_without_staging_modules_is_only_required():
    made = binaries.go_mod(binaries.KWOK, "module sigs.k8s.io/kwok\ngo 1.25.0\n")

    assert made == "module gshare.test/build\ngo 1.25.0\nrequire sigs.k8s.io/kwok v0.8.0\n"


def test_what_is_built_is_kept_by_version(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    found = binaries.path_of(binaries.CONTAINERD, "ctr")

    assert found == tmp_path / "gshare" / "containerd-2.4.2" / "ctr"
    assert (binaries.CONTAINERD, "ctr") in binaries.missing()
