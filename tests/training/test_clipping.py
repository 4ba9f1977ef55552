"""Gradients are clipped at the norm that was asked for, under mixed precision as well."""

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import MixedPrecision

from genrl.data.errors import ConfigurationError
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, linear

LIMIT = 1e-3  # far below what training gives


class Norms(Callback):
    """The norm of all gradients that a step was taken with."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module, *batch) -> None:
        gradients = [weights.grad for weights in pl_module.parameters() if weights.grad is not None]
        self.seen.append(float(torch.nn.utils.get_total_norm(gradients)))


def norms(**settings) -> list[float]:
    watch = Norms()
    method = METHODS["trajectory-unet"]()
    fit(method, linear(), 3, batch_size=8, accelerator="cpu", callbacks=[watch], progress=False, **settings)
    return watch.seen


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_clipped_in_single_and_mixed_precision(precision):
    assert min(norms(precision=precision)) > 100 * LIMIT
    assert norms(precision=precision, gradient_clip_val=LIMIT) == pytest.approx([LIMIT] * 3, rel=1e-3)


def test_refused_where_gradients_are_scaled():
    half = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    with pytest.raises(ConfigurationError, match=r"TrajectoryDiffusion cannot clip .* bf16-mixed"):
        norms(plugins=[half], gradient_clip_val=LIMIT)


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_weights_of_another_kind_are_refused(precision):
    with pytest.raises(ConfigurationError, match=f"one of 32-true, bf16-mixed, 16-mixed, not {precision}"):
        norms(precision=precision)
