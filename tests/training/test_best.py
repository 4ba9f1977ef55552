"""The lowest held-out loss wins, whatever comes after it."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from genrl.data.episodes import DatasetCard
from genrl.data.errors import ConfigurationError, DivergenceError
from genrl.training.best import BestWeights
from genrl.training.fit import fit
from genrl.training.spec import fingerprint
from tests.methods.toy_methods import METHODS, equal_weights, linear, walks


def look(callback: BestWeights, module: torch.nn.Module, loss: float) -> bool:
    """One validation; whether it asks to stop."""
    trainer = SimpleNamespace(
        callback_metrics={"val_loss": torch.tensor(loss)}, sanity_checking=False, should_stop=False
    )
    callback.on_validation_epoch_end(trainer, module)
    return trainer.should_stop


def test_keeps_the_lowest_and_stops_when_patience_is_out():
    module, callback = torch.nn.Linear(1, 1), BestWeights(patience=2)
    losses = [3.0, 1.0, float("nan"), 0.5, 0.7, 0.6]
    stops = []
    for place, loss in enumerate(losses):
        torch.nn.init.constant_(module.weight, place)
        stops.append(look(callback, module, loss))
    assert stops == [False, False, False, False, False, True]
    assert callback.lowest == 0.5
    other = BestWeights(patience=2)
    other.load_state_dict(callback.state_dict())
    other.on_fit_end(SimpleNamespace(), module)
    assert module.weight.item() == 3.0
    assert look(other, module, 0.6)  # patience was saved as well


def test_a_small_gain_is_kept_and_does_not_count():
    module, callback = torch.nn.Linear(1, 1), BestWeights(patience=2, gain=0.01)
    losses = [float("nan"), 1.0, 0.995, 0.98, 0.975, -0.1, -0.1005, -0.1008]
    stops = []
    for place, loss in enumerate(losses):
        torch.nn.init.constant_(module.weight, place)
        stops.append(look(callback, module, loss))
    assert stops == [False] * 7 + [True]
    assert callback.lowest == pytest.approx(-0.1008)
    callback.on_fit_end(SimpleNamespace(), module)
    assert module.weight.item() == 7.0


class Held(Callback):
    """What the module holds at every validation: averaged weights, and the loss."""

    def __init__(self) -> None:
        self.looks: list[tuple[float, dict[str, torch.Tensor]]] = []

    def on_validation_epoch_end(self, trainer: Trainer, pl_module) -> None:
        weights = {name: tensor.clone() for name, tensor in pl_module.state_dict().items()}
        self.looks.append((float(trainer.callback_metrics["val_loss"]), weights))


def test_a_fit_ends_with_the_averaged_weights_of_its_best_look():
    held = Held()
    module = METHODS["trajectory-mlp"]()
    module.lr = 0.3  # rough, so that the last look is not the best
    fit(module, linear(20), 60, val_every=6, val_fraction=0.3, patience=50, progress=False, callbacks=[held])
    best = min(range(len(held.looks)), key=lambda place: held.looks[place][0])
    assert len(held.looks) == 10
    assert 0 < best < 9
    assert all(torch.equal(tensor, held.looks[best][1][name]) for name, tensor in module.state_dict().items())
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_fit_that_diverged_is_none():
    wild = METHODS["trajectory-mlp"](lr=1e30)
    with pytest.raises(DivergenceError, match="The fit of this TrajectoryDiffusion diverged"):
        fit(wild, linear(20), 40, progress=False)
    with pytest.raises(ConfigurationError, match="lr must be at least 0, not nan"):
        fit(METHODS["trajectory-mlp"](lr=math.nan), linear(20), 40, progress=False)


class Broken(Callback):
    """Weights that are no numbers from the fifteenth update on."""

    def on_train_batch_end(self, trainer: Trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        if trainer.global_step == 15:
            for weights in pl_module.parameters():
                weights.data.fill_(math.nan)


def test_the_best_weights_outlive_a_divergence():
    held = Held()
    kept = fit(
        METHODS["trajectory-mlp"](),
        linear(20),
        60,
        val_every=6,
        val_fraction=0.3,
        patience=50,
        progress=False,
        callbacks=[held, Broken()],
    )
    assert all(weights.isfinite().all() for weights in kept.parameters())
    assert len(held.looks) < 10  # nothing is learned any more, and the fit ends


def test_a_callback_forgets_another_fit():
    reused, settings = BestWeights(patience=2), {"val_every": 3, "val_fraction": 0.3, "progress": False}
    fit(METHODS["trajectory-mlp"](), linear(20), 30, callbacks=[reused], **settings)
    second, alone = (
        fit(METHODS["trajectory-mlp"](seed=1), linear(20, seed=5), 12, callbacks=[best], **settings)
        for best in (reused, BestWeights(patience=2))
    )
    assert equal_weights(second, alone)


def test_fitting_twice_gives_the_same_weights_and_leaves_the_global_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, other = (fit(METHODS["trajectory-unet"](), linear(), 7, progress=False) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert equal_weights(one, other)
    different = METHODS["trajectory-unet"]()
    different.seed = 1
    assert not equal_weights(one, fit(different, linear(), 7, progress=False))


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ConfigurationError, match="steps must be at least 1, not 0"):
        fit(METHODS["trajectory-mlp"](), linear(), 0)
    for data, share in ((linear(), 0.0), (linear(1), 0.5)):
        with pytest.raises(ConfigurationError, match=r"patience of 3 .* none are held out"):
            fit(METHODS["trajectory-mlp"](), data, 5, patience=3, val_fraction=share, progress=False)


def test_a_further_fit_takes_up_its_data_and_keeps_the_normalisers():
    first, second = linear(), replace(linear(seed=1), card=DatasetCard("b-v0", env_spec="other"))
    module = fit(METHODS["trajectory-mlp"](), first, 2, val_fraction=0.0, progress=False)
    known, buffers = module.spec, {name: tensor.clone() for name, tensor in module.named_buffers()}
    fit(module, second, 2, val_fraction=0.0, progress=False)
    assert (module.spec.fingerprint, module.spec.card.dataset_id) == (fingerprint(second), "b-v0")
    assert (module.spec.card.env_spec, module.spec.tied) == (known.card.env_spec, known.tied)
    assert all(torch.equal(tensor, buffers[name]) for name, tensor in module.named_buffers())
    with pytest.raises(ConfigurationError, match=r"fitted to has the observation space .* is given now has"):
        fit(module, walks(), 2, val_fraction=0.0, progress=False)


def test_without_held_out_episodes_there_is_no_best():
    with pytest.raises(ConfigurationError, match="BestWeights compares losses on held-out episodes, and none"):
        fit(METHODS["trajectory-mlp"](), walks(8), 5, val_fraction=0.0, progress=False, callbacks=[BestWeights()])
