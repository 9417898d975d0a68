"""What is safetensors content and what is not, and how the refusal says it."""

import json

import pytest

from gshare_modelstore import safetensors
from gshare_modelstore.safetensors import SafetensorsError, TensorSpan


def content(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """Return content with any header: bytes as they are, anything else as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_tensors_are_found_where_they_lie_in_the_whole_content():
    header = {
        "b": entry(),
        "a": entry("BF16", [1, 2, 2], [8, 16]),
        "__metadata__": {"format": "pt"},
    }
    raw = content(header, bytes(16))

    start = len(raw) - 16
    assert safetensors.parse_header(raw) == (
        TensorSpan("b", "F32", (2,), start, 8),
        TensorSpan("a", "BF16", (1, 2, 2), start + 8, 8),
    )


def test_scalars_and_empty_tensors_are_tensors():
    header = {"none": entry("I64", [0, 3], [0, 0]), "one": entry("U8", [], [0, 1])}

    spans = safetensors.parse_header(content(header, b"x"))

    assert [(span.name, span.size_bytes) for span in spans] == [("none", 0), ("one", 1)]


def test_dtypes_of_less_than_a_byte_count_in_bits():
    header = {"w": entry("F4", [3, 2], [0, 3])}

    assert safetensors.parse_header(content(header, bytes(3)))[0].size_bytes == 3


NOT_CONTENT = [
    pytest.param(b"", "0 bytes: too short", id="nothing"),
    pytest.param(b"\0" * 7, "7 bytes: too short", id="no whole length"),
    pytest.param(content({}, length=2**63), "header of 9223372036854775808 bytes", id="endless"),
    pytest.param(content({}, length=3), "header of 3 bytes in content of 10", id="cut off"),
    pytest.param(content(b"[]"), "not a JSON object", id="a list"),
    pytest.param(content(b" {}"), "not a JSON object", id="a space first"),
    pytest.param(content(b"{"), "not JSON", id="half of JSON"),
    pytest.param(content(b"\xff\xfe"), "not JSON", id="not UTF-8"),
    pytest.param(content(b"[" * 100_000), "not JSON", id="nested without end"),
    pytest.param(content(b'{"a":' + b"1" * 5000 + b"}"), "not JSON", id="a number without end"),
    pytest.param(content(b'{"__metadata__":{"a":NaN}}'), "NaN is not JSON", id="no number"),
    pytest.param(content(b'{"a":{},"a":{}}'), "'a' stands twice", id="a name twice"),
    pytest.param(content({"__metadata__": {"a": 1}}), "__metadata__.'a'", id="metadata of numbers"),
    pytest.param(content({"__metadata__": []}), "__metadata__ is not", id="metadata a list"),
    pytest.param(content({"a": 1}), "tensor 'a': wants exactly", id="no entry"),
    pytest.param(content({"a": {"dtype": "F32"}}), "tensor 'a': wants exactly", id="half an entry"),
    pytest.param(
        content({"a": {**entry(), "x": 1}}, bytes(8)), "tensor 'a': wants", id="a field more"
    ),
    pytest.param(content({"a": entry("F33")}, bytes(8)), "dtype 'F33' is unknown", id="no dtype"),
    pytest.param(content({"a": entry(["F32"])}, bytes(8)), "dtype ['F32']", id="dtype a list"),
    pytest.param(content({"a": entry(shape=[-2])}, bytes(8)), "shape has -2", id="negative side"),
    pytest.param(content({"a": entry(shape=[True])}, bytes(8)), "shape has True", id="side true"),
    pytest.param(content({"a": entry(shape=[2.0])}, bytes(8)), "shape has 2.0", id="side a float"),
    pytest.param(content({"a": entry(shape=2)}, bytes(8)), "shape is not a list", id="no shape"),
    pytest.param(
        content({"a": entry(shape=[2**62, 2**62])}, bytes(8)), "is too large", id="overflow"
    ),
    pytest.param(content({"a": entry("F4", [3], [0, 1])}, b"x"), "no whole number", id="half byte"),
    pytest.param(content({"a": entry(offsets=[8, 0])}, bytes(8)), "are no span", id="backwards"),
    pytest.param(content({"a": entry(offsets=[0])}, bytes(8)), "are no span", id="one offset"),
    pytest.param(
        content({"a": entry(offsets=[0, 4])}, bytes(4)),
        "hold 4 bytes where F32 [2] has 8",
        id="short",
    ),
    pytest.param(
        content({"a": entry(offsets=[4, 12])}, bytes(12)), "leaves a hole behind", id="a hole"
    ),
    pytest.param(
        content({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)), "overlaps", id="overlap"
    ),
    pytest.param(content({"a": entry()}, bytes(9)), "the header describes", id="more data"),
    pytest.param(content({"a": entry()}, bytes(7)), "the header describes", id="less data"),
    pytest.param(content({"": entry()}, bytes(8)), "not a name", id="no name"),
    pytest.param(content({"a\nb": entry()}, bytes(8)), "control character", id="a line break"),
    pytest.param(content({"a\ud800": entry()}, bytes(8)), "control character", id="surrogate"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "said"), NOT_CONTENT)
def test_what_is_no_content_is_refused_in_one_line(raw: bytes, said: str):
    with pytest.raises(SafetensorsError) as caught:
        safetensors.parse_header(raw)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


class Source:
    def __init__(self, dtype: str, shape: tuple[int, ...], data: bytes):
        self.dtype, self.shape, self._data = dtype, shape, data

    def read(self) -> memoryview:
        return memoryview(self._data)


def test_content_is_the_same_whatever_order_the_tensors_come_in():
    sources = {"b": Source("F32", (1,), b"1234"), "a": Source("F32", (1,), b"5678")}

    one = safetensors.encode(sources)
    other = safetensors.encode(dict(reversed(sources.items())))

    assert one.head == other.head


def test_the_widest_dtype_comes_first_so_that_all_are_aligned():
    sources = {"a": Source("U8", (3,), b"abc"), "b": Source("F64", (1,), bytes(8))}

    spans = safetensors.encode(sources).spans

    assert [span.name for span in spans] == ["b", "a"]
    assert spans[0].offset % 8 == 0


def test_a_source_of_another_size_than_it_says_is_refused():
    encoding = safetensors.encode({"a": Source("F32", (2,), b"1234")})

    with pytest.raises(SafetensorsError, match=r"'a': 4 bytes where F32 \[2\] has 8"):
        list(encoding.pieces())


@pytest.mark.parametrize(
    ("name", "dtype", "said"),
    [
        pytest.param("a\n", "F32", "control character", id="a line break"),
        pytest.param("__metadata__", "F32", "not a name", id="the format's own name"),
        pytest.param("a", "F128", "dtype 'F128' is unknown", id="no dtype"),
    ],
)
def test_tensors_that_cannot_be_written_are_refused(name: str, dtype: str, said: str):
    with pytest.raises(SafetensorsError, match=said):
        safetensors.encode({name: Source(dtype, (1,), b"1234")})


def test_a_header_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(safetensors, "MAX_HEADER_BYTES", 64)

    with pytest.raises(SafetensorsError, match="header of 120 bytes: at most 64"):
        safetensors.encode({"a" * 64: Source("F32", (1,), b"1234")})
