"""Placement on accelerators, without one: torch's meta device refuses to mix with the CPU as any other device does."""

import lightning.pytorch.strategies
import pytest
import torch
from toy_data import LEARNERS, random_walks
from toy_returns import LEARNERS as RETURN_LEARNERS
from toy_sequences import LEARNERS as SEQUENCE_LEARNERS

from genrl.training.fit import fit
from tests.methods.toy_methods import TRAINED

ALL = {**LEARNERS, **RETURN_LEARNERS, **SEQUENCE_LEARNERS, **TRAINED}
every = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())


@every
def test_a_fit_reads_its_data_on_the_cpu_whatever_lightning_builds_on(make, monkeypatch):
    monkeypatch.setattr(
        lightning.pytorch.strategies.Strategy, "tensor_init_context", lambda *_, **__: torch.device("meta")
    )
    fitted = fit(make(), random_walks(), 2, progress=False)
    assert all(tensor.device.type == "cpu" for tensor in fitted.state_dict().values())


@every
def test_batches_are_on_the_device_of_the_module(make):
    module = make()
    module.prepare(random_walks())
    batch = module.to("meta").sampler(random_walks()).fetch(torch.arange(4), torch.Generator())
    assert {field.device.type for field in vars(batch).values()} == {"meta"}
