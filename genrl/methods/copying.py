"""After a fit: does the method repeat its training data?"""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from genrl.data.copying import copying
from genrl.methods.method import Block, Method
from genrl.training.rest import evaluating


class CopyingCheck(Callback):
    """Makes a few episodes at the end of a fit and warns where they lie nearer to the training data than new data do.

    New data are the episodes that the fit held out; where these are too few or too short, nothing is said.
    It runs on the weights that the fit ends with and leaves them, and every stream of randomness, as they are.

    Args:
        episodes: how many to make.
        longest: steps of the windows that are compared, fewer where the method's episodes are shorter.
        fewest: held-out episodes that it takes, for the windows of one or two are too much alike to compare with.
    """

    def __init__(self, episodes: int = 128, longest: int = 16, fewest: int = 4) -> None:
        self.episodes, self.longest, self.fewest = episodes, longest, fewest

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make, compare, warn."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not trainer.is_global_zero or not isinstance(pl_module, Method):
            return
        if data.val_episodes is None or len(data.val_episodes) < self.fewest:
            return
        with evaluating(pl_module):
            made = pl_module.synthesize(Block(pl_module.seed, 0, self.episodes))
        horizon = min(self.longest, int(made.lengths.max()))
        if min(int(part.lengths.max()) for part in (data.train_episodes, data.val_episodes)) >= horizon:
            copying(data.train_episodes, data.val_episodes, made, horizon).warn()
