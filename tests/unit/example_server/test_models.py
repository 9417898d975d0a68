"""The kernel tables give the published curves, in closed form."""

import pytest

from gshare_example_server import models

V100_SMS = 80


def sms(percent: int) -> int:
    """Return the SMs of a V100 under an MPS percentage: whole SMs, rounded down."""
    return V100_SMS * percent // 100


PUBLISHED = [
    pytest.param("resnet50", 6, 49.8, id="ResNet-50 at 6 %"),
    pytest.param("resnet50", 12, 68.5, id="ResNet-50 at 12 %"),
    pytest.param("resnet50", 24, 75, id="ResNet-50 at 24 %"),
    pytest.param("resnet50", 100, 75, id="ResNet-50 at 100 %"),
    pytest.param("rnnt", 12, 10.5, id="RNNT at 12 %"),
    pytest.param("rnnt", 24, 12, id="RNNT at 24 %"),
    pytest.param("rnnt", 100, 12.5, id="RNNT at 100 %"),
]


@pytest.mark.parametrize(("name", "percent", "published_rps"), PUBLISHED)
def test_tables_give_the_published_throughput(
    name: str, percent: int, published_rps: float
) -> None:
    throughput = models.load(name).throughput_rps(sms(percent))

    assert throughput == pytest.approx(published_rps, rel=0.001)


@pytest.mark.parametrize("name", models.names())
def test_more_sms_never_make_a_model_slower(name: str) -> None:
    model = models.load(name)

    times = [model.inference_us(count) for count in range(1, V100_SMS + 1)]

    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("name", models.names())
def test_kernels_are_as_long_as_real_ones(name: str) -> None:
    assert all(100 <= kernel.duration_us <= 600 for kernel in models.load(name).kernels)


def test_models_without_published_curves_say_that_they_are_assumptions() -> None:
    assumed = {name for name in models.names() if models.load(name).assumption}

    assert assumed == set(models.names()) - {"resnet50", "rnnt"}


@pytest.mark.parametrize(
    ("name", "published_mb"),
    [("resnet50", 1525), ("resnet152", 1745), ("resnext_xlarge", 3335), ("vit_huge", 4735)],
)
def test_a_pod_uses_the_published_memory_as_near_as_chunks_of_2_mib_come(
    name: str, published_mb: int
) -> None:
    context_mib, requests_mib = 300, 2

    model = models.load(name)

    used_mib = model.weights_mib + model.workspace_mib + requests_mib + context_mib
    assert used_mib == published_mb - 1


def test_an_unknown_model_is_refused_with_the_known_names() -> None:
    with pytest.raises(models.ModelError, match=r"no model 'resnet51'.*resnet50"):
        models.load("resnet51")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[", id="not JSON"),
        pytest.param("[]", id="not an object"),
        pytest.param('{"name": "m"}', id="no kernels"),
        pytest.param('{"kernels": [{"name": "k"}]}', id="half a row"),
    ],
)
def test_a_file_that_is_no_kernel_table_is_refused(text: str) -> None:
    with pytest.raises(models.ModelError, match="not a model file"):
        models.parse(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("name", "Conv1", id="a name that PTX would not take"),
        pytest.param("sm_demand", 0, id="no SMs"),
        pytest.param("duration_us", 1.5, id="a fraction of a microsecond"),
        pytest.param("count", -1, id="a negative count"),
    ],
)
def test_a_row_that_could_not_be_launched_is_refused(field: str, value: object) -> None:
    row: dict[str, object] = {"name": "conv1", "sm_demand": 4, "duration_us": 100, "count": 1}

    with pytest.raises(models.ModelError):
        models.Kernel(**{**row, field: value})  # type: ignore[arg-type]
