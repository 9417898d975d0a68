"""What a trial sends, from one line or from YAML; each wrong value is refused by name."""

import pytest

from gshare.errors import InputError
from gshare_profiler.request import Request, parse


def read(text: str, **files: bytes) -> Request:
    def read_file(name: str) -> bytes:
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[name]

    return parse("resnet.yaml", "Deployment/resnet request", text, read_file)


def test_a_line_names_method_and_path() -> None:
    assert read("POST /v1/models/resnet:predict") == Request("POST", "/v1/models/resnet:predict")


def test_a_mapping_names_headers_and_a_body() -> None:
    text = "method: POST\npath: /infer\nheaders: {Content-Type: text/plain}\nbody: hello"

    request = read(text)

    assert request.headers == (("Content-Type", "text/plain"),)
    assert request.body == b"hello"


def test_a_body_may_be_bytes_or_a_file() -> None:
    assert read("bodyBase64: //4A").body == b"\xff\xfe\x00"
    assert read("bodyFile: cat", cat=b"\x89PNG").body == b"\x89PNG"


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        ("infer", "request", "must be a line such as"),
        ("method: post", "method", "must be an HTTP method in capitals"),
        ("path: infer", "path", "must begin with '/'"),
        ("path: '/a b'", "path", "hold no space"),
        ("headers: {'a b': c}", "headers", "must be a header's name"),
        ('headers: {a: "b\\nc"}', "headers", "on one line"),
        ("bodyBase64: '%'", "bodyBase64", "is not base64"),
        ("{body: a, bodyFile: b}", "bodyFile", "is a second body"),
        ("bodyFile: dog", "bodyFile", "cannot be read: No such file"),
        ("verb: POST", "verb", "is not known"),
        ("method: [GET", "line 1", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named(text: str, field: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)

    assert field in str(caught.value)
    assert problem in str(caught.value)
    assert "resnet.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
