"""The model that a pod announces: key, size and scope."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gshare.models import ModelShare, charged_bytes, parse, scoped, whole_granules

MI = 2**20
CONTEXT = 300 * MI


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("bert", ModelShare("bert"), id="key alone"),
        pytest.param("bert=98Mi", ModelShare("bert", 98 * MI), id="with a size"),
        pytest.param("shared/org/m:v1@x=1", ModelShare("shared/org/m:v1@x", 1), id="shared"),
        pytest.param("k" * 200, ModelShare("k" * 200), id="longest key"),
    ],
)
def test_an_announced_model_is_read(text, wanted):
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "must be KEY or KEY=SIZE", id="nothing"),
        pytest.param("=98Mi", "must be KEY or KEY=SIZE", id="size alone"),
        pytest.param(7, "must be KEY or KEY=SIZE", id="number"),
        pytest.param("/bert", "begin with a letter or digit", id="slash first"),
        pytest.param("bert large", "the key must have", id="blank inside"),
        pytest.param("bert\n", "the key must have", id="line end"),
        pytest.param("k" * 201, "1 to 200", id="too long"),
        pytest.param("shared/", "must name a model after shared/", id="only the prefix"),
        pytest.param("bert=", "the size after bert= must be an amount of memory", id="no size"),
        pytest.param("bert=0", "the size after bert= must be an amount", id="no weights"),
        pytest.param("bert=9Ei", "must be an amount of memory below 8Ei", id="far too much"),
        pytest.param(
            "bert=1Pi", "size .*: must be above 0 and at most 512Ti", id="more than a GPU"
        ),
        pytest.param("bert=1Gi=2", "must be an amount of memory", id="two sizes"),
    ],
)
def test_what_announces_no_model_is_refused_in_one_line(text, said):
    with pytest.raises(ValueError, match=said) as refusal:
        parse(text)

    assert "\n" not in str(refusal.value)


def test_a_models_text_means_itself():
    for share in (ModelShare("bert"), ModelShare("shared/bert", 5)):
        assert parse(share.text) == share


def test_a_key_is_another_model_in_another_namespace():
    assert scoped("a", "bert") != scoped("b", "bert")


def test_a_shared_key_is_one_model_in_all_namespaces():
    assert scoped("a", "shared/bert") == scoped("b", "shared/bert") == "shared/bert"


def test_a_namespace_called_shared_has_models_of_its_own():
    assert scoped("shared", "bert") != scoped("a", "shared/bert")


def test_weights_take_whole_granules_of_a_gpu():
    assert [whole_granules(each) for each in (1, 2 * MI, 2 * MI + 1)] == [2 * MI, 2 * MI, 4 * MI]


def charge(*shares, resident=None, store=CONTEXT):
    return charged_bytes([each.within("team") for each in shares], resident or {}, store)


def test_a_model_is_charged_once_and_the_store_with_the_first():
    bert, llama = ModelShare("bert", 98 * MI), ModelShare("llama", 4 * MI)

    assert charge() == 0
    assert charge(bert) == charge(bert, bert) == 398 * MI
    assert charge(bert, llama, bert) == 402 * MI


def test_equal_keys_of_two_namespaces_are_charged_apart_and_shared_ones_once():
    private = [ModelShare("bert", 2 * MI).within(each) for each in ("a", "b")]
    shared = [ModelShare("shared/bert", 2 * MI).within(each) for each in ("a", "b")]

    assert charged_bytes(private, {}, 0) == 4 * MI
    assert charged_bytes(shared, {}, 0) == 2 * MI


def test_the_largest_of_different_sizes_counts():
    assert charge(ModelShare("bert", 2 * MI), ModelShare("bert", 6 * MI), store=0) == 6 * MI


def test_a_model_without_a_size_counts_with_what_is_there_of_it():
    bert = ModelShare("bert")

    assert charge(bert, store=0) == 0
    assert charge(bert, resident={"team/bert": 2 * MI + 1}, store=0) == 4 * MI
    assert charge(bert, resident={"other/bert": 2 * MI}, store=0) == 0


def test_an_announced_size_counts_whatever_is_there():
    assert charge(ModelShare("bert", 2 * MI), resident={"team/bert": 8 * MI}, store=0) == 2 * MI


def test_a_gpu_that_lost_its_store_is_charged_for_the_weights_alone():
    assert charge(ModelShare("bert", 2 * MI), store=None) == 2 * MI


@given(
    shares=st.lists(
        st.builds(
            ModelShare,
            st.sampled_from(["bert", "llama", "shared/bert"]),
            st.none() | st.integers(1, 2**30),
            st.sampled_from(["a", "b"]),
        )
    ),
    resident=st.dictionaries(st.sampled_from(["a/bert", "shared/bert"]), st.integers(0, 2**30)),
)
def test_a_pod_more_never_makes_the_charge_less(shares, resident):
    sums = [charged_bytes(shares[:count], resident, 7) for count in range(len(shares) + 1)]

    assert sums == sorted(sums)
