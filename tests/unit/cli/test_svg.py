"""GPUs drawn as an SVG page."""

from xml.etree import ElementTree as ET

from gshare_cli import svg
from gshare_cli.drawing import Box

NAMESPACE = {"svg": "http://www.w3.org/2000/svg"}


def parsed(boxes: list[Box]) -> ET.Element:
    return ET.fromstring(svg.page([("GPU 0", boxes)]))  # noqa: S314 (our own text)


def texts(page: ET.Element) -> list[str]:
    return ["".join(element.itertext()) for element in page.findall("svg:text", NAMESPACE)]


def test_the_page_names_both_axes_and_the_functions() -> None:
    page = parsed([Box("resnet-0", "resnet", 0, 0, 40, 12)])

    assert {"time %", "SM %", "resnet", "resnet-0", "GPU 0"} <= set(texts(page))


def test_a_rectangle_is_as_wide_as_its_quota_and_as_high_as_its_sms() -> None:
    page = parsed([Box("resnet-0", "resnet", 0, 0, 40, 12)])

    titled = [each for each in page if each.find("svg:title", NAMESPACE) is not None]

    assert [(each.get("width"), each.get("height")) for each in titled] == [("160", "48")]


def test_names_are_escaped() -> None:
    page = parsed([Box("a<b>&'c", "f", 0, 0, 40, 12)])

    assert "a<b>&'c" in texts(page)
