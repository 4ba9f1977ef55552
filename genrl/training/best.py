"""The best weights of a fit: those with the lowest held-out loss, put back at its end."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from genrl.data.errors import ConfigurationError


class BestWeights(Callback):
    """Keeps a copy of the weights at the lowest ``val_loss`` and restores it; stops after ``patience`` looks without.

    What a part of the module that is ``lasting`` holds, such as how many rewards were asked for, stays as it is: no
    choice of weights undoes it. Copy and patience are saved with a checkpoint, so that a resumed fit goes on as if it
    had not been interrupted.

    Args:
        patience: validations without a new lowest loss before the fit stops.
        gain: share by which a loss must be lower than the last that counted, to count itself; any lower one is kept.

    Raises:
        ConfigurationError: when a fit begins that holds no episodes out.
    """

    def __init__(self, patience: int = 5, gain: float = 0.0) -> None:
        self.patience, self.gain = patience, gain
        self._forget()

    def _forget(self) -> None:
        self.lowest = self.counted = float("inf")
        self.waited = 0
        self.weights: dict[str, torch.Tensor] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget another fit; Lightning restores what a checkpoint holds after this."""
        self._forget()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End a resumed fit at once where it had come to its end.

        Raises:
            ConfigurationError: nothing is held out, so that there are no looks to compare.
        """
        if not sum(trainer.num_val_batches):
            raise ConfigurationError(
                "BestWeights compares losses on held-out episodes, and none are held out: give val_fraction above 0 and"
                " more than one episode, or leave it out."
            )
        if self.waited and self.waited >= self.patience:
            trainer.should_stop = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare and keep."""
        loss = trainer.callback_metrics.get("val_loss")
        if loss is None or trainer.sanity_checking:
            return
        if loss < self.lowest:
            self.lowest = float(loss)
            self.weights = _undoable(pl_module)
        needed = self.gain * abs(self.counted) if self.counted < float("inf") else 0.0
        if loss < self.counted - needed:
            self.counted, self.waited = float(loss), 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the best weights back, after every other callback has had its say about them."""
        if self.weights:
            pl_module.load_state_dict(pl_module.state_dict() | self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Best weights, their loss, and how long ago that was."""
        return {name: getattr(self, name) for name in ("lowest", "counted", "waited", "weights")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self.lowest, self.waited, self.weights = (state_dict[name] for name in ("lowest", "waited", "weights"))
        self.counted = state_dict.get("counted", self.lowest)


def _undoable(module: LightningModule) -> dict[str, torch.Tensor]:
    """A copy of what the module holds, but for its ``lasting`` parts."""
    lasting = tuple(f"{name}." for name, part in module.named_modules() if getattr(part, "lasting", False))
    state = module.state_dict()
    return {name: tensor.detach().clone() for name, tensor in state.items() if not name.startswith(lasting)}
