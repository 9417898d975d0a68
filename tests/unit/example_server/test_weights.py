"""Weights of the example's models as content: the same in each replica, as large as they say."""

import numpy as np
import pytest

from gshare_example_server import models, weights

MODELS = [models.load(name) for name in models.names()]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_tensors_are_together_as_large_as_the_model_says(model: models.Model) -> None:
    tensors = weights.content(model)

    assert sum(each.nbytes for each in tensors.values()) == model.weights_mib * models.MIB
    assert all(each.nbytes % weights.ALIGNMENT_BYTES == 0 for each in tensors.values())
    assert len(tensors) == model.launches


def test_each_replica_makes_the_same_weights() -> None:
    model = models.load("resnet50")

    one, other = weights.content(model), weights.content(model)

    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_tensors_differ_from_each_other() -> None:
    tensors = weights.content(models.load("rnnt"))

    assert len({float(each[0]) for each in tensors.values()}) == len(tensors)
