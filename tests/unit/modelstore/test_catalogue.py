"""What a store answers, evicts and refuses: the catalogue's rules, one by one."""

import pytest
from tests.support.store_scene import Scene, digest

from gshare_modelstore.protocol import Ask, Op, Status, Tell, Tier
from gshare_modelstore.terms import Model, Terms

ROOMY = Terms(device_bytes=100, host_bytes=100, shared_from=frozenset({"team"}))


def scene(device=100, host=100, **terms) -> Scene:
    made = Terms(device_bytes=device, host_bytes=host, shared_from=frozenset({"team"}), **terms)
    return Scene(made)


def cpu_scene(host=100, **terms) -> Scene:
    return Scene(Terms(host_bytes=host, **terms), has_device=False)


def unused(store: Scene, key: str, weights: str, size_bytes: int, namespace="team", **fields):
    """Store weights that nobody uses afterwards."""
    client = store.join(namespace)
    reply = store.store(client, key, weights, size_bytes, **fields)
    store.leave(client)
    return reply


def keys(store: Scene, namespace: str = "team") -> list[str]:
    client = store.join(namespace)
    store.ask(client, Op.LIST)
    return [each.key for each in store.replies[client] if each.status is Status.READY]


def test_the_first_who_asks_is_told_to_load() -> None:
    store = scene()

    assert store.get(store.join(), "bert").status is Status.LOAD


def test_who_is_not_ready_to_load_hears_that_nothing_is_there() -> None:
    store = scene()
    store.get(store.join(), "bert")

    assert store.ask(store.join(), Op.GET, "bert").status is Status.ABSENT


def test_others_wait_for_the_loader_and_get_what_it_stores() -> None:
    store = scene()
    loader, other = store.join(), store.join()
    store.get(loader, "bert")
    waiting = store.get(other, "bert")

    stored = store.store(loader, "bert", "w")

    assert waiting is None
    assert stored.status is Status.READY
    assert store.replies[other][-1].digest == digest("w")


def test_those_who_wait_hear_the_loaders_progress() -> None:
    store = scene()
    loader, other = store.join(), store.join()
    store.get(loader, "bert")
    store.get(other, "bert")

    store.ask(loader, Op.PROGRESS, "bert", content_bytes=3, total_bytes=9)

    last = store.replies[other][-1]
    assert (last.status, last.content_bytes, last.total_bytes) == (Status.PROGRESS, 3, 9)


def test_progress_of_who_does_not_load_is_told_nobody() -> None:
    store = scene()
    loader, other = store.join(), store.join()
    store.get(loader, "bert")
    store.get(other, "bert")

    store.ask(store.join(), Op.PROGRESS, "bert", content_bytes=3, total_bytes=9)

    assert not store.replies[other]


@pytest.mark.parametrize("end", ["dies", "abandons", "offers what is no safetensors"])
def test_the_next_loads_when_the_loader(end: str) -> None:
    store = scene()
    loader, second, third = store.join(), store.join(), store.join()
    for client in (loader, second, third):
        store.get(client, "bert")

    if end == "dies":
        store.leave(loader)
    elif end == "abandons":
        store.ask(loader, Op.ABANDON, "bert")
    else:
        store.offer(loader, "bert", "w")
        store.refuse()

    assert store.replies[second][-1].status is Status.LOAD
    assert not store.replies[third]


def test_what_a_loader_offered_before_it_died_serves_the_others() -> None:
    store = scene()
    loader, other = store.join(), store.join()
    store.get(loader, "bert")
    store.get(other, "bert")
    store.offer(loader, "bert", "w")

    store.leave(loader)
    store.finish()

    assert store.replies[other][-1].status is Status.READY


def test_a_later_request_takes_back_the_one_that_waits() -> None:
    store = scene()
    loader, other = store.join(), store.join()
    store.get(loader, "bert")
    store.get(other, "bert")
    store.ask(other, Op.LIST)
    answered = len(store.replies[other])

    store.store(loader, "bert", "w")

    assert len(store.replies[other]) == answered


def test_equal_weights_are_kept_once_in_a_namespace() -> None:
    store = scene()

    for key in ("a", "b"):
        assert unused(store, key, "w", 40).status is Status.READY

    assert len(store.device) == 1
    assert keys(store) == ["a", "b"]


def test_equal_weights_of_two_namespaces_are_kept_apart() -> None:
    store = scene()

    for namespace in ("team", "other"):
        unused(store, "a", "w", 40, namespace)

    assert len(store.device) == 2


def test_a_namespace_neither_gets_nor_sees_anothers_weights() -> None:
    store = scene()
    unused(store, "bert", "w", 10)

    stranger = store.join("other")

    assert store.ask(stranger, Op.GET, "bert").status is Status.ABSENT
    assert store.ask(stranger, Op.GET, "bert", digest=digest("w")).status is Status.ABSENT
    assert keys(store, "other") == []


@pytest.mark.parametrize("op", [Op.DROP, Op.PIN])
def test_a_namespace_cannot_touch_anothers_weights(op: Op) -> None:
    store = scene()
    unused(store, "bert", "w", 10)

    assert store.ask(store.join("other"), op, "bert").status is Status.ABSENT
    assert keys(store) == ["bert"]


def test_shared_weights_serve_every_namespace() -> None:
    store = scene()
    unused(store, "shared/bert", "w", 10)

    reply = store.get(store.join("other"), "shared/bert")

    assert reply.status is Status.READY
    assert Tell.SHARED in reply.flags


@pytest.mark.parametrize("op", [Op.DROP, Op.PIN])
def test_only_chosen_namespaces_write_shared_weights(op: Op) -> None:
    store = scene()
    stranger = store.join("other")
    unused(store, "shared/bert", "w", 10)

    assert store.ask(stranger, op, "shared/bert").status is Status.DENIED
    assert store.store(stranger, "shared/bert", "x").status is Status.DENIED
    assert store.get(stranger, "shared/other").status is Status.DENIED


def test_a_digest_serves_whatever_its_key_names_now() -> None:
    store = scene()
    old = store.join()
    store.store(old, "bert", "v1")
    store.store(store.join(), "bert", "v2")

    reply = store.get(store.join(), "bert", digest=digest("v1"))

    assert reply.digest == digest("v1")


def test_a_digest_that_is_not_there_is_to_be_loaded() -> None:
    store = scene()
    store.store(store.join(), "bert", "v1")

    assert store.get(store.join(), "bert", digest=digest("v2")).status is Status.LOAD


def test_a_wrong_digest_is_named_and_nothing_is_stored() -> None:
    store = scene()

    reply = store.store(store.join(), "bert", "w", digest=digest("other"))

    assert reply.status is Status.INVALID
    assert digest("other").hex() in reply.text
    assert not store.host
    assert not store.tickets


def test_weights_that_nobody_uses_stay_while_nobody_wants_their_room() -> None:
    store = scene()

    unused(store, "bert", "w", 60)

    assert store.get(store.join(), "bert").status is Status.READY


def test_the_least_recently_used_goes_first() -> None:
    store = scene(device=100, host=0)
    for key, weights in (("a", "wa"), ("b", "wb")):
        unused(store, key, weights, 40)
    client = store.join()
    store.get(client, "a")
    store.leave(client)

    unused(store, "c", "wc", 40)

    assert keys(store) == ["a", "c"]


def test_weights_in_use_never_go() -> None:
    store = scene(device=100, host=0)
    user = store.join()
    store.store(user, "a", "wa", 60)

    reply = unused(store, "b", "wb", 60, tier=Tier.DEVICE)

    assert reply.status is Status.FULL
    assert keys(store) == ["a"]


def test_a_refusal_names_the_model_its_bytes_and_what_is_free() -> None:
    store = scene(device=100, host=0)
    store.store(store.join(), "a", "wa", 60)

    reply = store.store(store.join(), "b", "wb", 60, tier=Tier.DEVICE)

    assert reply.text.startswith("model team/b: 60 do not fit on the GPU: of 100 for weights 40")


def test_whoever_waits_for_what_does_not_fit_hears_it_too() -> None:
    store = scene(device=10, host=10)
    loader, other = store.join(), store.join()
    store.get(loader, "a")
    store.get(other, "a")

    store.store(loader, "a", "wa", 60)

    assert store.replies[other][-1].status is Status.FULL


def test_what_leaves_the_gpu_stays_in_host_memory_and_comes_back() -> None:
    store = scene(device=50, host=100)
    unused(store, "a", "wa", 40)
    unused(store, "b", "wb", 40)
    demoted = {each.digest for each in store.host} - {each.digest for each in store.device}

    client = store.join()
    store.get(client, "a")
    store.finish()

    assert demoted == {digest("wa")}
    assert store.replies[client][-1].tier is Tier.DEVICE


def test_who_takes_either_gets_the_hosts_copy_when_the_gpu_is_full() -> None:
    store = scene(device=50, host=100)
    store.store(store.join(), "a", "wa", 40)

    reply = store.store(store.join(), "b", "wb", 40)

    assert (reply.status, reply.tier) == (Status.READY, Tier.HOST)


def test_a_pinned_key_is_not_evicted_for_others() -> None:
    store = scene(device=50, host=0)
    unused(store, "a", "wa", 40, flags=Ask.PIN)

    assert unused(store, "b", "wb", 40, tier=Tier.DEVICE).status is Status.FULL


def test_a_pin_that_is_taken_back_keeps_nothing() -> None:
    store = scene(device=50, host=0)
    unused(store, "a", "wa", 40, flags=Ask.PIN)
    store.ask(store.join(), Op.PIN, "a")

    assert unused(store, "b", "wb", 40, tier=Tier.DEVICE).status is Status.READY


def test_a_budget_that_shrinks_is_kept_at_once_pinned_or_not() -> None:
    store = scene(device=100, host=0)
    unused(store, "a", "wa", 40, flags=Ask.PIN)
    unused(store, "b", "wb", 40)

    store.adopt(Terms(device_bytes=50))
    left = {each.digest for each in store.device}
    store.adopt(Terms(device_bytes=10))

    assert left == {digest("wa")}
    assert not store.device


def test_a_budget_that_shrinks_waits_for_those_who_use_it() -> None:
    store = scene(device=100, host=0)
    user = store.join()
    store.store(user, "a", "wa", 40)

    store.adopt(Terms(device_bytes=10))
    kept = set(store.device)
    store.leave(user)

    assert kept
    assert not store.device


def test_a_dropped_key_is_gone_and_its_users_keep_their_weights() -> None:
    store = scene()
    user = store.join()
    store.store(user, "a", "wa", 40)

    dropped = store.ask(store.join(), Op.DROP, "a")
    absent = store.ask(store.join(), Op.GET, "a")
    kept = set(store.device)
    store.leave(user)

    assert (dropped.status, absent.status) == (Status.OK, Status.ABSENT)
    assert kept
    assert not store.device


def test_released_weights_may_go_while_their_client_stays() -> None:
    store = scene(device=50, host=0)
    client = store.join()
    store.store(client, "a", "wa", 40)

    store.ask(client, Op.RELEASE, "a")

    assert store.store(client, "b", "wb", 40, tier=Tier.DEVICE).status is Status.READY


def test_a_quota_counts_each_weights_once_and_evicts_ones_own_first() -> None:
    store = scene(quota_bytes=50)
    unused(store, "theirs", "wt", 40, "other")
    unused(store, "a", "wa", 40)

    reply = unused(store, "b", "wb", 40)

    assert reply.status is Status.READY
    assert keys(store) == ["b"]
    assert keys(store, "other") == ["theirs"]


def test_a_quota_in_use_refuses_more_with_its_figures() -> None:
    store = scene(quota_bytes=50)
    store.store(store.join(), "a", "wa", 40)

    reply = store.store(store.join(), "b", "wb", 40)

    assert reply.status is Status.FULL
    assert "quota of namespace team: 40 of 50 are kept" in reply.text


def test_what_a_quota_evicts_is_given_up_though_the_rest_does_not_fit() -> None:
    store = scene(device=60, host=0, quota_bytes=70)
    store.store(store.join("other"), "theirs", "wt", 30)
    unused(store, "a", "wa", 30)

    reply = unused(store, "b", "wb", 50, tier=Tier.DEVICE)

    assert reply.status is Status.FULL
    assert {each.digest for each in store.device} == {digest("wt")}


def test_room_that_a_lease_announces_is_nobody_elses() -> None:
    store = scene(device=100, host=0, announced={Model("team", "big"): 60})

    refused = unused(store, "small", "ws", 50, tier=Tier.DEVICE)
    store.adopt(Terms(device_bytes=100))
    taken = unused(store, "small", "ws", 50, tier=Tier.DEVICE)

    assert refused.status is Status.FULL
    assert "60 promised to announced models" in refused.text
    assert taken.status is Status.READY


def test_an_announced_model_gets_its_room_from_whoever_does_not_use_theirs() -> None:
    store = scene(device=100, host=0)
    unused(store, "small", "ws", 50)

    store.adopt(Terms(device_bytes=100, announced={Model("team", "big"): 60}))

    assert unused(store, "big", "wb", 60, tier=Tier.DEVICE).status is Status.READY


def test_memory_that_the_driver_does_not_have_is_made_by_evicting() -> None:
    store = scene(device=100, host=0)
    unused(store, "a", "wa", 40)
    client = store.join()
    store.offer(client, "b", "wb", 40)
    store.verify()

    store.fail()
    store.finish()

    assert store.replies[client][-1].status is Status.READY
    assert keys(store) == ["b"]


def test_a_copy_that_never_fits_is_refused_or_given_from_host_memory() -> None:
    store = scene(device=100, host=100)
    strict, easy = store.join(), store.join()
    store.offer(strict, "b", "wb", 40, tier=Tier.DEVICE)
    store.verify()
    store.get(easy, "b")

    store.fail()

    assert store.replies[strict][-1].status is Status.FULL
    assert store.replies[easy][-1].tier is Tier.HOST


def test_a_copy_that_the_gpu_refuses_is_not_tried_for_every_client() -> None:
    store = scene()
    client = store.join()
    store.offer(client, "a", "wa", 40)
    store.verify()
    store.fail(out_of_memory=False)

    again = store.get(store.join(), "a")
    strict = store.get(store.join(), "a", Tier.DEVICE)

    assert again.tier is Tier.HOST
    assert strict.status is Status.ERROR
    assert not store.copying


def test_a_store_without_a_gpu_serves_host_memory_alone() -> None:
    store = cpu_scene()

    stored = store.store(store.join(), "a", "wa", 40)
    strict = store.get(store.join(), "a", Tier.DEVICE)

    assert stored.tier is Tier.HOST
    assert strict.status is Status.ERROR


def test_a_list_ends_and_shows_who_uses_what() -> None:
    store = scene()
    store.store(store.join(), "a", "wa", 40, flags=Ask.PIN)
    store.get(store.join(), "b")
    client = store.join()

    store.ask(client, Op.LIST)

    first, loading, end = store.replies[client]
    assert (first.key, first.references, first.content_bytes) == ("a", 1, 40)
    assert first.flags == Tell.PINNED | Tell.IN_DEVICE | Tell.IN_HOST
    assert (loading.key, loading.flags) == ("b", Tell.LOADING)
    assert end.status is Status.END


@pytest.mark.parametrize("key", ["", "shared/", "/abs", "a b", "a\n", "x" * 201, "ü"], ids=repr)
def test_what_is_no_key_is_refused(key: str) -> None:
    store = scene()
    client = store.join()

    assert store.get(client, key).status is Status.INVALID
    assert store.store(client, key, "w").status is Status.INVALID


def test_a_connection_has_one_offer_and_a_few_loads_at_a_time() -> None:
    store = scene()
    client = store.join()
    store.offer(client, "a", "wa")

    second = store.store(client, "b", "wb")
    loads = [store.get(client, f"m{index}").status for index in range(17)]

    assert second.status is Status.ERROR
    assert loads == [Status.LOAD] * 16 + [Status.ERROR]


def test_resident_names_models_by_their_scope() -> None:
    store = scene()
    unused(store, "a", "wa", 40)
    unused(store, "shared/b", "wb", 20)

    assert store.catalogue.resident() == {"team/a": 40, "shared/b": 20}
