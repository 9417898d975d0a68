"""What a list or a watch event changes."""

import pytest

from gshare.runtime.kube.cache import Cache
from gshare.runtime.kube.objects import Meta, Pod


def pod(name, version=1, uid=None):
    return Pod(Meta(name, "team", uid or f"uid-of-{name}", str(version)))


def told(changes):
    return [(each.verb, each.item.metadata.name) for each in changes]


def test_a_first_list_is_all_puts():
    assert told(Cache().replace([pod("a"), pod("b")])) == [("put", "a"), ("put", "b")]


def test_the_same_list_again_changes_nothing():
    cache = Cache()
    cache.replace([pod("a")])

    assert cache.replace([pod("a")]) == []


def test_a_list_without_an_object_drops_it_as_it_last_was():
    cache = Cache()
    known = pod("a")
    cache.replace([known, pod("b")])

    (change,) = cache.replace([pod("b")])

    assert (change.verb, change.item) == ("drop", known)


def test_drops_come_before_puts():
    cache = Cache()
    cache.replace([pod("z")])

    assert told(cache.replace([pod("a")])) == [("drop", "z"), ("put", "a")]


@pytest.mark.parametrize("way", ["list", "watch"])
def test_a_name_with_another_uid_is_dropped_and_put(way):
    cache = Cache()
    cache.replace([pod("a", 1, "old")])
    new = pod("a", 2, "new")

    changes = cache.replace([new]) if way == "list" else cache.put(new)

    assert [(each.verb, each.item.metadata.uid) for each in changes] == [
        ("drop", "old"),
        ("put", "new"),
    ]


def test_an_object_without_version_always_counts_as_changed():
    cache = Cache()
    cache.put(Pod(Meta("a")))

    assert told(cache.put(Pod(Meta("a")))) == [("put", "a")]


def test_a_drop_shows_the_last_state_that_the_server_sent():
    cache = Cache()
    cache.put(pod("a", 1))

    (change,) = cache.drop(pod("a", 2))

    assert change.item.metadata.resource_version == "2"
    assert cache.items() == ()


def test_a_drop_of_what_is_not_known_changes_nothing():
    assert Cache().drop(pod("a")) == []


def test_what_does_not_matter_any_more_is_dropped():
    cache = Cache(lambda each: each.metadata.resource_version == "1")
    cache.put(pod("a", 1))

    assert told(cache.put(pod("a", 2))) == [("drop", "a")]
    assert cache.put(pod("a", 3)) == []


def test_the_same_name_in_two_namespaces_is_two_objects():
    cache = Cache()
    cache.put(Pod(Meta("a", "one")))
    cache.put(Pod(Meta("a", "two")))

    assert len(cache.items()) == 2
    assert cache.find("one", "a") is not cache.find("two", "a")
