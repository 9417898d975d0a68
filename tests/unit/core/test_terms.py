"""What comes into force of what a running pod asks, and what the pod counts as meanwhile."""

import pytest

from gshare import terms
from gshare.annotations import PodPlacement, Standing, Terms, decode_in_force, encode_in_force
from gshare.models import ModelShare
from gshare.terms import LIMIT, MEMORY, REQUEST, Room

GIB = 2**30
PLACED = PodPlacement("GPU-0", 12, 40, GIB)
USUAL = Standing(Terms(40, 100, GIB))
EMPTY = Room(lambda _quota: True, 16 * GIB, 0)
FULL = Room(lambda _quota: False, GIB, GIB)


def judged(wishes, held=USUAL, room=EMPTY, keys=terms.KEYS):
    return terms.judge(held, wishes, PLACED, room, keys)


def standing(quota=40, limit=100, memory_bytes=GIB, **refused) -> Standing:
    keys = {"request": REQUEST, "limit": LIMIT, "memory": MEMORY}
    return Standing(
        Terms(quota, limit, memory_bytes), {keys[word]: text for word, text in refused.items()}
    )


@pytest.mark.parametrize(
    ("wishes", "wanted"),
    [
        pytest.param({}, Terms(40, 100, GIB), id="nothing"),
        pytest.param({REQUEST: "60"}, Terms(60, 100, GIB), id="a larger request"),
        pytest.param({REQUEST: "10", LIMIT: "10"}, Terms(10, 10, GIB), id="less of both"),
        pytest.param({REQUEST: "70", LIMIT: "80"}, Terms(70, 80, GIB), id="more of both"),
        pytest.param({LIMIT: "40"}, Terms(40, 40, GIB), id="a limit"),
        pytest.param({MEMORY: "2Gi"}, Terms(40, 100, 2 * GIB), id="more memory"),
        pytest.param({MEMORY: "1Mi"}, Terms(40, 100, 2**20), id="less memory"),
    ],
)
def test_what_has_room_comes_into_force(wishes, wanted) -> None:
    verdict = judged(wishes)

    assert verdict.standing == Standing(wanted)
    assert verdict.refusals == ()


def test_both_quotas_may_rise_past_the_limit_in_force() -> None:
    assert judged({REQUEST: "70", LIMIT: "80"}, standing(40, 50)).standing == standing(70, 80)


@pytest.mark.parametrize(
    ("wishes", "room", "says"),
    [
        ({REQUEST: "0"}, EMPTY, "'0': must be a whole percent from 1 to 100; 40 % stays"),
        ({REQUEST: "60"}, FULL, "'60': the GPU has no room for it beside its other pods; 40 %"),
        ({LIMIT: "30"}, EMPTY, "'30': must be at least the quota request, 40; 100 % stays"),
        ({LIMIT: "all"}, EMPTY, "'all': must be a whole percent"),
        ({MEMORY: "3Gi"}, FULL, "'3Gi': the GPU has 1Gi beside its other pods; 1Gi stays"),
        ({MEMORY: "1Mi"}, FULL, "'1Mi': the pod holds 1Gi now; 1Gi stays in force"),
        ({MEMORY: ""}, EMPTY, "'': must be an amount of memory"),
    ],
    ids=[
        "a request of nothing",
        "a request without room",
        "a limit below the request",
        "a limit in words",
        "memory without room",
        "memory that is held",
        "empty memory",
    ],
)
def test_what_cannot_be_is_refused_by_field_and_value_and_changes_nothing(wishes, room, says):
    verdict = judged(wishes, room=room)

    [refused] = verdict.refusals
    assert says in str(refused)
    assert str(refused).startswith(f"metadata.annotations[{refused.key}]: ")
    assert verdict.standing == Standing(USUAL.terms, dict(wishes))


def test_a_request_above_the_limit_asked_with_it_is_refused_and_the_limit_judged_by_itself():
    verdict = judged({REQUEST: "60", LIMIT: "50"})

    assert verdict.standing == standing(40, 50, request="60")
    assert f"must be at most the quota limit, 50: raise {LIMIT} with it" in str(verdict.refusals[0])


def test_a_limit_that_cannot_be_read_leaves_the_request_below_the_one_in_force():
    assert judged({REQUEST: "60", LIMIT: "x"}, standing(40, 50)).standing.terms == Terms(
        40, 50, GIB
    )


def test_a_removal_may_be_refused_too():
    verdict = judged({}, standing(30), FULL)

    assert verdict.standing == standing(30, request=None)
    assert "its removal: the GPU has no room" in str(verdict.refusals[0])


def test_a_refusal_is_told_once():
    again = judged({REQUEST: "60"}, standing(request="60"), FULL)

    assert again.refusals == ()
    assert again.standing == standing(request="60")


def test_a_refusal_ends_when_its_annotation_is_judged_anew():
    assert judged({REQUEST: "50"}, standing(request="60")).standing == standing(50)


def test_less_memory_waits_until_somebody_knows_what_the_pod_holds():
    nobody_knows = Room(EMPTY.fits, 16 * GIB, None)

    verdict = judged({MEMORY: "1Mi", REQUEST: "50"}, room=nobody_knows)

    assert verdict.standing == standing(50)
    assert verdict.open == {MEMORY}


def test_what_is_not_to_be_judged_stays():
    before = standing(40, 90, 2 * GIB, memory="x")

    verdict = judged({REQUEST: "60", MEMORY: "x"}, before, keys=(REQUEST, LIMIT))

    assert verdict.standing == standing(60, 100, 2 * GIB, memory="x")


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        (None, {}, {REQUEST, LIMIT, MEMORY}),
        ({LIMIT: "50"}, {LIMIT: "50"}, set()),
        ({LIMIT: "50"}, {LIMIT: "60"}, {REQUEST, LIMIT}),
        ({REQUEST: "50"}, {}, {REQUEST, LIMIT}),
        ({}, {MEMORY: "1Gi"}, {MEMORY}),
    ],
    ids=["never judged", "the same", "another limit", "no request any more", "memory"],
)
def test_what_changed_is_judged_and_of_the_quotas_both(before, after, keys):
    assert terms.to_judge(before, after, USUAL, PLACED) == keys


BOTH_REFUSED = Standing(Terms(40, 50, GIB), {REQUEST: "60", LIMIT: "30"})
LIMITS = pytest.mark.parametrize(
    ("says", "limit", "stands"),
    [
        (standing(40, 50, request="60"), {LIMIT: "50"}, True),
        (standing(40, 50, request="60"), {LIMIT: "50.0"}, True),
        (standing(40, 50, request="60"), {}, False),
        (standing(40, 50, request="60"), {LIMIT: "70"}, False),
        (standing(40, 50, request="60"), {LIMIT: "all"}, False),
        (BOTH_REFUSED, {LIMIT: "30"}, True),
        (BOTH_REFUSED, {LIMIT: "50"}, False),
        (standing(40, 100, request="60"), {}, True),
    ],
    ids=[
        "the same limit",
        "written otherwise",
        "no limit any more",
        "another limit",
        "a limit that is none",
        "a limit that was refused too",
        "the limit in force in its place",
        "never a limit",
    ],
)


@LIMITS
def test_a_refused_request_is_judged_again_once_its_limit_means_something_else(says, limit, stands):
    keys = terms.to_judge({REQUEST: "60", LIMIT: "1"}, {REQUEST: "60", **limit}, says, PLACED)

    assert keys == ({LIMIT} if stands else {REQUEST, LIMIT})


@LIMITS
def test_a_request_that_may_be_judged_again_counts(says, limit, stands):
    """Its node may take it from then on, and the extender must not hear of that only later."""
    counted = terms.counted(PLACED, {REQUEST: "60", **limit}, says)

    assert counted.quota_percent == (40 if stands else 60)


def test_a_refusal_stands_while_something_else_cannot_be_judged_yet():
    """Nothing was judged for good (None), so all is looked at again, but for what was refused."""
    says = standing(40, 100, request="60", memory="9Gi")
    wishes = {REQUEST: "60", MEMORY: "9Gi"}

    assert terms.to_judge(None, wishes, says, PLACED) == {LIMIT}


def test_memory_that_was_taken_meanwhile_is_put_back():
    verdict = terms.held_more(standing(memory_bytes=1), USUAL.terms, {MEMORY: "1"}, GIB)

    assert verdict.standing == standing(memory="1")
    assert "the pod holds 1Gi now; 1Gi stays in force" in str(verdict.refusals[0])


@pytest.mark.parametrize(
    ("wishes", "says", "quota"),
    [
        (None, None, 40),
        ({}, None, 40),
        ({REQUEST: "60"}, None, 60),
        ({REQUEST: "60"}, standing(request="60"), 40),
        ({REQUEST: "20"}, standing(request="60"), 40),
        ({REQUEST: "20"}, standing(20), 20),
        ({}, standing(20), 40),
        ({}, standing(20, request=None), 20),
        ({REQUEST: "more"}, standing(20, request="more"), 20),
        ({REQUEST: "more"}, None, 40),
    ],
    ids=[
        "does not run yet",
        "asks nothing",
        "a raise that is not judged",
        "a raise that was refused",
        "a reduction that is not in force",
        "a reduction in force",
        "a removal that is not judged",
        "a removal that was refused",
        "nonsense that was refused",
        "nonsense that is not judged",
    ],
)
def test_a_pod_counts_no_less_than_its_node_enforces_or_may_come_to(wishes, says, quota):
    counted = terms.counted(PLACED, wishes, says)

    assert counted == PodPlacement("GPU-0", 12, quota, GIB)


def test_memory_counts_like_the_quota():
    assert terms.counted(PLACED, {MEMORY: "2Gi"}, None).memory_bytes == 2 * GIB
    assert terms.counted(PLACED, {MEMORY: "1Mi"}, None).memory_bytes == GIB
    less = terms.counted(PLACED, {MEMORY: "1Mi"}, standing(memory_bytes=2**20))
    assert less.memory_bytes == 2**20


def test_a_text_of_any_length_is_kept_short():
    texts = terms.texts({REQUEST: "9" * 1000, "other": "x"})

    assert list(texts) == [REQUEST]
    assert len(texts[REQUEST]) < 100


def test_what_a_node_says_is_read_as_it_was_written():
    said = {"b": standing(20, 30), "a": standing(40, 100, 2 * GIB, request="60", memory=None)}

    assert decode_in_force(encode_in_force(said)) == said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "must be a JSON object"),
        ('{"a":1}', "must be an object that describes terms"),
        ('{"a":{"quota":40,"limit":30,"memory":1}}', "1 <= request <= limit"),
        ('{"a":{"quota":40,"limit":90,"memory":0}}', "memory 0: must be above 0"),
        ('{"a":{"quota":40,"limit":90,"memory":1,"refused":[]}}', "refused '.*': must be an"),
    ],
    ids=["a list", "a number", "a limit below the request", "no memory", "a list of refusals"],
)
def test_terms_that_are_none_are_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        decode_in_force(text)


def test_weights_in_a_pods_own_memory_come_on_top_of_what_it_asks() -> None:
    """Its annotation means the same on a node with a model store and on one without."""
    held = PodPlacement("GPU-0", 12, 40, 3 * GIB, ModelShare("bert", GIB), has_own_weights=True)
    asks = {MEMORY: "2Gi"}

    assert terms.at_start(asks, held).memory_bytes == 3 * GIB
    assert terms.counted(held, asks, None) == held
    assert terms.counted(held, {MEMORY: "4Gi"}, None).memory_bytes == 5 * GIB
