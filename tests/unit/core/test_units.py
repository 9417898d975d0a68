"""Quantities as users write them."""

import pytest

from gshare import units


@pytest.mark.parametrize(
    ("value", "percent"),
    [
        pytest.param(12, 12, id="integer"),
        pytest.param("12", 12, id="text"),
        pytest.param("1", 1, id="least"),
        pytest.param(100, 100, id="most"),
        pytest.param(12.0, 12, id="float that is whole"),
        pytest.param("12.0", 12, id="decimal that is whole"),
        pytest.param("1e2", 100, id="exponent"),
        pytest.param("12000m", 12, id="thousandths that are whole"),
    ],
)
def test_whole_percent_reads_what_the_api_server_would(value, percent):
    assert units.whole_percent(value) == percent


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param(0, "from 1 to 100", id="zero"),
        pytest.param(101, "from 1 to 100", id="above a whole"),
        pytest.param(-5, "from 1 to 100", id="negative"),
        pytest.param("20k", "from 1 to 100", id="twenty thousand in canonical form"),
        pytest.param("12.5", "not a fraction", id="fraction"),
        pytest.param(12.5, "not a fraction", id="float"),
        pytest.param("500m", "not a fraction", id="thousandths"),
        pytest.param(True, "such as 12", id="boolean"),
        pytest.param(None, "such as 12", id="nothing"),
        pytest.param("", "such as 12", id="empty"),
        pytest.param("12%", "such as 12", id="percent sign"),
        pytest.param("twelve", "such as 12", id="word"),
        pytest.param([12], "such as 12", id="list"),
        pytest.param(float("nan"), "such as 12", id="not a number"),
        pytest.param(float("inf"), "such as 12", id="infinity"),
        pytest.param("1e999999999", "such as 12", id="exponent beyond reason"),
        pytest.param("9" * 5000, "such as 12", id="more digits than Python converts"),
        pytest.param(10**5000, "from 1 to 100", id="integer beyond what Python prints"),
        pytest.param("١٢", "such as 12", id="digits of another script"),
    ],
)
def test_whole_percent_refuses_all_else(value, problem):
    with pytest.raises(ValueError, match=problem):
        units.whole_percent(value)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        pytest.param("1500Mi", 1_572_864_000, id="mebibytes"),
        pytest.param("2Ki", 2048, id="kibibytes"),
        pytest.param("1.5Gi", 3 * 2**29, id="part of a gibibyte"),
        pytest.param("1Ti", 2**40, id="tebibyte"),
        pytest.param("3k", 3000, id="kilobytes"),
        pytest.param("3M", 3_000_000, id="megabytes"),
        pytest.param("2G", 2_000_000_000, id="gigabytes"),
        pytest.param("1T", 10**12, id="terabyte"),
        pytest.param("1E", 10**18, id="exabyte, not an exponent"),
        pytest.param("1e9", 10**9, id="exponent"),
        pytest.param("1E3", 1000, id="exponent in capitals"),
        pytest.param("5e-1", 1, id="half a byte counts as one"),
        pytest.param("1500m", 2, id="a byte and a half count as two"),
        pytest.param(".5Ki", 512, id="nothing before the point"),
        pytest.param("+4", 4, id="plus sign"),
        pytest.param(4096, 4096, id="plain number"),
        pytest.param(1e9, 10**9, id="float"),
    ],
)
def test_memory_bytes_reads_kubernetes_quantities(value, amount):
    assert units.memory_bytes(value) == amount


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param("1500MB", "such as 1500Mi", id="unknown suffix"),
        pytest.param("1 Gi", "such as 1500Mi", id="space"),
        pytest.param("1gi", "such as 1500Mi", id="small letter"),
        pytest.param("lots", "such as 1500Mi", id="word"),
        pytest.param(False, "such as 1500Mi", id="boolean"),
        pytest.param("0", "above 0", id="zero"),
        pytest.param("-1Gi", "above 0", id="negative"),
        pytest.param("8Ei", "below 8Ei", id="beyond 63 bits"),
    ],
)
def test_memory_bytes_refuses_all_else(value, problem):
    with pytest.raises(ValueError, match=problem):
        units.memory_bytes(value)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        pytest.param(0, "0", id="nothing"),
        pytest.param(512, "512", id="bytes"),
        pytest.param(16 * 2**30, "16Gi", id="whole gibibytes"),
        pytest.param(3 * 2**29, "1.5Gi", id="tenths"),
        pytest.param(1_572_864_000, "1.5Gi", id="rounded"),
        pytest.param(2**41, "2Ti", id="tebibytes"),
        pytest.param(2048, "2Ki", id="kibibytes"),
    ],
)
def test_memory_text_reads_well(amount, text):
    assert units.memory_text(amount) == text


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("69ms", 69), ("0.5s", 500), ("1.5m", 90_000), ("24h", 86_400_000)]
)
def test_durations_are_read_with_their_unit(text, milliseconds):
    assert units.milliseconds(text) == milliseconds


@pytest.mark.parametrize("text", ["69", "", "0ms", "-1s", "1d", "25h", "1e3ms", " 69ms", 69, None])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="must be a duration"):
        units.milliseconds(text)
