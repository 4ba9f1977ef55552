"""A short fit of every kind of learner, with or without renewals."""

from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from genrl.learners.bc import BC
from genrl.learners.iql import IQL
from genrl.learners.sac import SAC
from genrl.learners.td3bc import TD3BC
from genrl.nets.mlp import MLP
from genrl.synthesis.renewal import Renewal
from genrl.training.datamodule import EpisodesData
from tests.methods.toy_methods import linear

NET = partial(MLP, width=8, layers=1, dropout=0.1)  # dropout draws from the random state that a renewal must not touch
LEARNERS = {
    "td3bc": partial(TD3BC, actor_net=NET, critic_net=NET),
    "iql": partial(IQL, actor_net=NET, critic_net=NET, value_net=NET, return_range=None),
    "sac": partial(SAC, actor_net=NET, critic_net=NET),
    "bc": partial(BC, net=NET),
}
EVERY, PER_EPOCH, EPOCHS = 4, 6, 2
STEPS = PER_EPOCH * EPOCHS


class Watch(Callback):
    """Keeps the batches and the weights before each."""

    def on_train_start(self, trainer, pl_module) -> None:
        self.batches, self.weights = [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.batches.append(batch)
        self.weights.append({name: tensor.clone() for name, tensor in pl_module.state_dict().items()})
        assert pl_module.training
        assert any(parameter.requires_grad for parameter in pl_module.parameters())


def fitted(
    learner, renewal: Renewal | None, *callbacks: Callback, folder=None, ckpt_path=None, data=None, **settings
) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=folder is not None,
        callbacks=[*([renewal] if renewal else []), *callbacks, *([every_step(folder)] if folder else [])],
        **{"logger": False, **settings},
    )
    data = data or EpisodesData(linear(), batch_size=16, val_fraction=0.2, val_batches=1, batches_per_epoch=PER_EPOCH)
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(0)
        trainer.fit(learner, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def every_step(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)


def renewal(source, **settings) -> Renewal:
    return Renewal(source, **{"every": EVERY, "transitions": 40, "real_fraction": 0.25, "block_size": 8, **settings})
