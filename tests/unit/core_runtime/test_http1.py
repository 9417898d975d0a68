"""Messages of HTTP/1.1 as they come: whole, in pieces, several at once, and broken."""

import pytest

from gshare.runtime.http1 import LONGEST_HEAD, Head, HttpError, Stream

REPLY = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def stream(*pieces):
    """Return a stream over which these come, before the peer closes."""
    coming = list(pieces)

    def receive(most):
        piece = coming.pop(0) if coming else b""
        if len(piece) > most:
            coming.insert(0, piece[most:])
        return piece[:most]

    return Stream(receive)


def bytewise(content):
    return [content[at : at + 1] for at in range(len(content))]


@pytest.mark.parametrize("pieces", [[REPLY], bytewise(REPLY)], ids=["at once", "byte by byte"])
def test_a_reply_is_its_words_headers_and_body(pieces):
    found = stream(*pieces)

    head = found.head()

    assert head.words == ("HTTP/1.1", "201", "Created")
    assert head.headers == {"content-length": "5", "date": "now"}
    assert (head.status, found.body(head)) == (201, b"hello")


def test_messages_that_come_together_are_read_one_by_one():
    found = stream(REPLY + REPLY)

    bodies = [found.body(found.head()), found.body(found.head())]

    assert bodies == [b"hello", b"hello"]
    assert found.head() is None


@pytest.mark.parametrize("size", [1, 3, 64], ids="{} bytes at once".format)
def test_chunks_are_joined_however_they_come(size):
    content = CHUNKED + b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n" + REPLY
    found = stream(*(content[at : at + size] for at in range(0, len(content), size)))

    body = found.body(found.head())

    assert body == b"hello world"
    assert found.body(found.head()) == b"hello"


def test_a_chunk_is_told_as_soon_as_some_of_it_is_there():
    found = stream(CHUNKED + b"b\r\nhello", b" world\r\n", b"0\r\n\r\n")
    head = found.head()

    pieces = [found.some(head), found.some(head), found.some(head)]

    assert pieces == [b"hello", b" world", b""]


def test_a_body_without_a_length_goes_on_to_the_end():
    found = stream(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    head = found.head()

    assert found.body(head) == b"hello"
    assert head.is_last


def test_an_answer_without_content_has_no_body():
    found = stream(b"HTTP/1.1 204 No Content\r\n\r\n" + REPLY)

    assert found.body(found.head()) == b""
    assert found.body(found.head()) == b"hello"


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        ("GET / HTTP/1.1", True),
        ("GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade", True),
        ("GET / HTTP/1.1\r\nconnection: Close", False),
        ("GET / HTTP/1.1\r\nConnection: x\r\nConnection: close", False),
        ("GET / HTTP/1.0", False),
    ],
    ids=["by default", "said", "close", "close in a second header", "HTTP/1.0"],
)
def test_a_connection_is_kept_unless_the_sender_says_otherwise(text, keeps):
    assert Head.parse(text).keeps is keeps


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"GET\r\n\r\n", id="one word"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", id="no colon"),
        pytest.param(b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", id="folded"),
        pytest.param(b"GET / HTTP/1.1\r\nname : x\r\n\r\n", id="space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\n: x\r\n\r\n", id="no name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x", id="cut off"),
        pytest.param(b"x" * (LONGEST_HEAD + 1), id="endless"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="a length below 0"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two lengths"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", id="a body cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", id="another coding"),
        pytest.param(CHUNKED + b"x\r\nhello\r\n", id="a chunk without a length"),
        pytest.param(CHUNKED + b"-5\r\nhello\r\n", id="a chunk of a length below 0"),
        pytest.param(CHUNKED + b"3\r\nhello\r\n0\r\n\r\n", id="a chunk too long"),
        pytest.param(CHUNKED + b"5\r\nhel", id="a chunk cut off"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", id="no last chunk"),
    ],
)
def test_what_is_no_message_is_an_error_of_one_line(content):
    found = stream(content)

    with pytest.raises(HttpError) as caught:
        found.body(found.head())

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["HTTP/1.1 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK"])
def test_a_reply_whose_status_is_no_number_of_three_digits_has_none(text):
    assert Head.parse(text).status == 0


def test_a_reason_may_be_left_out():
    assert Head.parse("HTTP/1.1 200").words == ("HTTP/1.1", "200", "")
