"""One progress bar for a whole fit, in terminals and notebooks alike."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm.auto import tqdm


class FitBar(ProgressBar):
    """Batches done of all that are planned, with the latest metrics.

    Lightning's own bars begin anew with every epoch and validation, and the one it prefers stays empty in a notebook
    without ipywidgets.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm | None = None
        self.enabled = True

    def disable(self) -> None:
        """Lightning's hook for processes other than the first."""
        self.enabled = False

    def enable(self) -> None:
        """The opposite of ``disable``."""
        self.enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar, at the position of a resumed fit."""
        planned = trainer.num_training_batches * trainer.max_epochs if trainer.max_epochs not in (None, -1) else None
        done = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        name, hidden = type(pl_module).__name__, not self.enabled
        self.bar = tqdm(total=planned, initial=done, desc=name, unit="batch", mininterval=0.5, disable=hidden)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One batch more."""
        assert self.bar is not None
        if self.bar.update():  # it is time to show it
            self._tell(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the last metrics and close."""
        assert self.bar is not None
        self._tell(trainer, pl_module)
        self.bar.close()

    def print(self, *args: Any, **kwargs: Any) -> None:
        """A line above the bar."""
        if self.enabled:
            tqdm.write(" ".join(map(str, args)))

    def _tell(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert self.bar is not None
        metrics = {name: value for name, value in self.get_metrics(trainer, pl_module).items() if name != "v_num"}
        self.bar.set_postfix(metrics, refresh=False)
