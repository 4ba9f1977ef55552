"""``genrl fit`` and ``genrl validate``: Lightning's command line over any method or learner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from genrl.data.errors import CheckpointError, ConfigurationError
from genrl.training.checkpoint import checkpoint_of, require_resumable, require_unfinished
from genrl.training.datamodule import EpisodesData
from genrl.training.fit import interruptible, quiet
from genrl.training.forecast import Forecast
from genrl.training.module import Trainable


class FitCLI(LightningCLI):
    """Model, data and Trainer from configuration files and options.

    There are no subcommands inside, so that ``${...}`` in a file reads from the top and is resolved after all options
    (jsonargparse's "omegaconf+" mode).
    """

    def __init__(self, prog: str, args: list[str]) -> None:
        super().__init__(
            Trainable,
            EpisodesData,
            subclass_mode_model=True,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            trainer_defaults={
                "logger": {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": LOGS},
                "callbacks": [Forecast()],
            },
            parser_kwargs={"parser_mode": "omegaconf+", "prog": prog, "exit_on_error": False, "allow_abbrev": False},
            args=args,
            run=False,
            auto_configure_optimizers=False,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Options for checkpoints: ``last.ckpt`` is renewed after every epoch, whenever held-out data are looked at.

        Lightning's own ``save_last`` writes only together with a best checkpoint, so after a bad epoch nothing.
        """
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.filename": "last",
                "checkpoint.enable_version_counter": False,
                "checkpoint.save_on_train_epoch_end": True,
            }
        )
        parser.add_argument("--ckpt_path", type=str | None, default=None, help="go on from this checkpoint or run")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The Trainer.

        Raises:
            ConfigurationError: it refuses its settings, such as an accelerator that is not there.
        """
        try:
            return super().instantiate_trainer(**kwargs)
        except (MisconfigurationException, ValueError, TypeError) as error:
            raise ConfigurationError(f"These settings of the Trainer cannot work: {error}") from error

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse ``args``, whatever the process itself was called with."""
        self.config = parser.parse_args(args)


LOGS = {"save_dir": "runs", "name": "fit"}


def fit(prog: str, args: list[str]) -> str:
    """Fit; a fit that was killed goes on to the same weights with ``--ckpt_path``. Returns where the result is.

    Raises:
        ConfigurationError: there is nothing to do, in 0 epochs or steps or after a fit that has done them all; a
            callback goes by held-out data and there are none; or Lightning refuses the settings.
        CheckpointError: the checkpoint to go on from is none, or that of another fit would be replaced.
    """
    with quiet(), interruptible():
        cli = FitCLI(prog, args)
        if 0 in (cli.trainer.max_epochs, cli.trainer.max_steps):
            raise ConfigurationError(
                "Nothing is fitted in no time: give --trainer.max_epochs (or --trainer.max_steps) of at least 1."
            )
        begun = cli.config.ckpt_path and checkpoint_of(cli.config.ckpt_path, ("last.ckpt",))
        if begun is not None:
            require_resumable(begun)
            require_unfinished(begun, max_epochs=cli.trainer.max_epochs, max_steps=cli.trainer.max_steps)
        cli.datamodule.setup("fit")  # what is wrong with the data is told before there is a folder for the fit
        _require_held_out(cli.trainer, cli.datamodule)
        cli.trainer.callbacks.append(Unwritten(begun))  # type: ignore[attr-defined]
        try:
            cli.trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=begun, weights_only=True)
        except MisconfigurationException as error:
            raise ConfigurationError(f"These settings of the Trainer cannot work: {error}") from error
    return "\n".join(f"checkpoint: {path}" for path in _checkpoints(cli.trainer.checkpoint_callbacks))


def validate(prog: str, args: list[str]) -> str:
    """Losses on the held-out episodes, one a line."""
    with quiet():
        cli = FitCLI(prog, args)
    if cli.config.ckpt_path is None:
        raise ConfigurationError("There is nothing to validate: give the checkpoint of a fit with --ckpt_path.")
    fitted = checkpoint_of(cli.config.ckpt_path)
    require_resumable(fitted, "pytorch-lightning_version")
    with quiet(), interruptible():
        (metrics,) = cli.trainer.validate(cli.model, cli.datamodule, fitted, verbose=False, weights_only=True) or [{}]
    return "\n".join(f"{name:<20}{value:.6g}" for name, value in metrics.items())


class Unwritten(Callback):
    """Refuses to write over the checkpoint of another fit.

    Args:
        begun: the checkpoint that this one goes on from.
    """

    def __init__(self, begun: Path | None) -> None:
        self.begun = begun

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look where checkpoints will be.

        Raises:
            CheckpointError: there is one.
        """
        for each in trainer.checkpoint_callbacks:
            target = Path(getattr(each, "dirpath", None) or "") / f"{getattr(each, 'filename', None)}.ckpt"
            if target.exists() and (self.begun is None or not target.samefile(self.begun)):
                raise CheckpointError(
                    f"{target} is of an earlier fit, and this one would write over it: go on from it with --ckpt_path,"
                    " or name another folder with --checkpoint.dirpath."
                )


def _require_held_out(trainer: Trainer, data: EpisodesData) -> None:
    """Refuse callbacks that wait for what held-out data say where there are none."""
    if data.val_episodes is not None and data.val_batches != 0 and trainer.limit_val_batches != 0:
        return
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if (getattr(callback, "monitor", None) or "").startswith("val_"):
            raise ConfigurationError(
                f"{type(callback).__name__} goes by '{callback.monitor}', and no episodes are held out: give"
                " --data.val_fraction above 0 (and at least two episodes), or leave that callback out."
            )


def _checkpoints(callbacks: list[Any]) -> list[Path]:
    paths = [path for each in callbacks for path in (each.last_model_path, each.best_model_path) if path]
    return [Path(path) for path in dict.fromkeys(paths)]
