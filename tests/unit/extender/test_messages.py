"""The scheduler's messages, in Go's spelling."""

import json

import pytest

from gshare_extender import messages
from gshare_extender.messages import (
    BindingArgs,
    BindingResult,
    FilterArgs,
    FilterResult,
    HostPriority,
    MessageError,
)

POD = b'{"metadata":{"name":"p","uid":"u","creationTimestamp":null},"spec":{"containers":null}}'


def test_filter_args_carry_the_pod_and_the_names():
    body = b'{"Pod":{"metadata":{"name":"p","uid":"u"}},"Nodes":null,"NodeNames":["a"],"New":1}'

    args = messages.decode(body, FilterArgs)

    assert (args.pod.metadata.uid, args.node_names) == ("u", ["a"])


def test_names_that_are_null_are_absent():
    body = b'{"Pod":{"metadata":{"name":"p","creationTimestamp":null}},"NodeNames":null}'

    assert messages.decode(body, FilterArgs).node_names is None


def test_many_names_are_read_when_they_are_wanted():
    names = [f"node-{number}" for number in range(100)]
    body = json.dumps({"Pod": {"metadata": {"name": "p"}}, "NodeNames": names}).encode()

    found = messages.decode_filter(body).node_names

    assert found.has_all(["node-7", "node-99"])
    assert list(found) == names


@pytest.mark.parametrize("text", ["null", '["a","b"]', "[ ]"], ids=["none", "few", "empty"])
def test_few_names_are_read_at_once(text):
    body = b'{"Pod":{"metadata":{"name":"p"}},"NodeNames":' + text.encode() + b"}"

    assert messages.decode_filter(body).node_names == json.loads(text)


@pytest.mark.parametrize("count", [3, 1000], ids=["few", "many"])
def test_names_that_are_no_texts_are_refused_when_they_are_read(count):
    names = list(range(count))
    body = json.dumps({"Pod": {"metadata": {"name": "p"}}, "NodeNames": names}).encode()

    with pytest.raises(MessageError, match="Expected `str`, got `int`"):
        list(messages.decode_filter(body).node_names)


def test_binding_args_spell_uid_in_capitals():
    body = b'{"PodName":"p","PodNamespace":"team","PodUID":"u","Node":"a"}'

    assert messages.decode(body, BindingArgs) == BindingArgs("p", "team", "a", "u")


def test_answers_have_gos_field_names():
    found = json.loads(messages.encode(FilterResult(["a"], {"b": "full"})))

    assert found == {
        "Nodes": None,
        "NodeNames": ["a"],
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {"b": "full"},
        "Error": "",
    }
    assert json.loads(messages.encode(BindingResult())) == {"Error": ""}
    assert json.loads(messages.encode([HostPriority("a", 10)])) == [{"Host": "a", "Score": 10}]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"NodeNames":[]}', "missing required field `Pod`"),
        (b'{"Pod":{"metadata":{"name":7}}}', r"Expected `str`, got `int` - at `\$.Pod.metadata.n"),
        (b'{"Pod":' * 10_000, "not what the scheduler sends"),
        (b"\xff", "not what the scheduler sends"),
    ],
    ids=["nothing", "half", "an array", "no pod", "a number for a name", "deep", "no text"],
)
def test_what_is_no_message_is_refused_in_one_line(body, problem):
    with pytest.raises(MessageError, match=problem) as caught:
        messages.decode(body, FilterArgs)

    assert "\n" not in str(caught.value)
