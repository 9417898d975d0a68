"""Packets: what one side packs the other reads, and nothing else is read."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gshare import models
from gshare_modelstore import protocol
from gshare_modelstore.protocol import (
    Ask,
    Mechanism,
    Op,
    ProtocolError,
    Reply,
    Request,
    Status,
    Tell,
    Tier,
)

numbers = st.integers(0, 2**64 - 1)
serials = st.integers(0, 2**32 - 1)
digests = st.none() | st.binary(min_size=32, max_size=32).filter(any)
texts = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=200)


@given(
    st.builds(
        Request,
        op=st.sampled_from(Op),
        key=texts,
        digest=digests,
        flags=st.sampled_from((Ask.NONE, Ask.LOAD, Ask.PIN, Ask.LOAD | Ask.PIN)),
        tier=st.sampled_from(Tier),
        serial=serials,
        content_bytes=numbers,
        total_bytes=numbers,
    )
)
def test_requests_round_trip(request_: Request) -> None:
    """What a client packs is what the store reads."""
    assert protocol.unpack_request(protocol.pack_request(request_)) == request_


@given(
    st.builds(
        Reply,
        status=st.sampled_from(Status),
        serial=serials,
        key=texts,
        digest=digests,
        flags=st.integers(0, 63).map(Tell),
        tier=st.sampled_from(Tier),
        mechanism=st.sampled_from(Mechanism),
        references=serials,
        content_bytes=numbers,
        total_bytes=numbers,
        mapped_bytes=numbers,
        index_bytes=numbers,
        gpu_uuid=st.just("GPU-1"),
        ipc_handle=st.binary(min_size=64, max_size=64),
        text=st.just("why"),
    )
)
def test_replies_round_trip(reply: Reply) -> None:
    """What the store packs is what a client reads."""
    assert protocol.unpack_reply(protocol.pack_reply(reply)) == reply


@given(st.binary(max_size=2 * protocol.REQUEST.size))
def test_no_bytes_make_reading_fail_otherwise_than_by_name(packet: bytes) -> None:
    """Whatever arrives is a request or a ProtocolError."""
    with_head = protocol.REQUEST.pack(protocol.MAGIC, 1, 1, 0, 0, 0, 0, 0, b"", b"")
    for each in (packet, (with_head[:8] + packet)[: protocol.REQUEST.size]):
        with contextlib.suppress(ProtocolError):
            assert isinstance(protocol.unpack_request(each), Request)


def test_a_long_text_is_cut_between_characters_and_lines() -> None:
    packed = protocol.pack_reply(Reply(Status.ERROR, text="one\ntwo " + "ü" * 500))

    text = protocol.unpack_reply(packed).text
    assert text.startswith("one two ü")
    assert 400 < len(text.encode()) < protocol.TEXT_BYTES


@pytest.mark.parametrize("key", ["a", "shared/a", "a/b:c@d-e_f.g", "9" * 200], ids=repr)
def test_keys_are_those_of_the_annotation(key: str) -> None:
    models.check_key(key)

    assert protocol.is_key(key)


@pytest.mark.parametrize("key", ["", "shared/", "-a", "a b", "a\n", "9" * 201, "ü"], ids=repr)
def test_what_the_annotation_refuses_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        models.check_key(key)

    assert not protocol.is_key(key)


def test_the_prefix_of_shared_keys_is_one() -> None:
    assert protocol.SHARED_PREFIX == models.SHARED_PREFIX
