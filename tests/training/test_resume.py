"""A fit that was interrupted and resumed gives the same bits, raw and averaged, as one that was not."""

import time
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from genrl.data.errors import CheckpointError, ConfigurationError
from genrl.learners.bc import BC
from genrl.nets.mlp import MLP
from genrl.training import command
from genrl.training.best import BestWeights
from genrl.training.checkpoint import load, require_resumable, save
from genrl.training.datamodule import EpisodesData
from genrl.training.ema import EMA
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, TRAINED, equal_weights, linear
from tests.training.killing import kill_once_there

PER_EPOCH, EPOCHS = 6, 3
STEPS = PER_EPOCH * EPOCHS


class Final(Callback):
    """The raw weights at the end of training, before the average takes their place."""

    def on_train_end(self, trainer, pl_module) -> None:
        self.raw = {name: tensor.clone() for name, tensor in pl_module.state_dict().items()}


def data(seed: int = 0) -> EpisodesData:
    return EpisodesData(linear(seed=seed), batch_size=8, val_fraction=0.2, val_batches=1, batches_per_epoch=PER_EPOCH)


def trainer(folder: Path, *callbacks: Callback, **settings) -> Trainer:
    return Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_epochs=EPOCHS,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **settings,
    )


def every_step(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)


@pytest.mark.parametrize("make", TRAINED.values(), ids=TRAINED.keys())
def test_resumed_anywhere_the_weights_are_the_same(make, tmp_path):
    final, whole = Final(), make()
    trainer(tmp_path, final, every_step(tmp_path)).fit(whole, datamodule=data())
    for step in (4, PER_EPOCH, PER_EPOCH + 3):  # in the first epoch, at its end, in the second
        again, resumed = Final(), make()
        second = trainer(tmp_path, again, enable_checkpointing=False)
        stored = tmp_path / f"step={step}.ckpt"
        second.fit(resumed, datamodule=data(), ckpt_path=stored, weights_only=True)
        assert second.global_step == STEPS
        assert equal_weights(whole, resumed)
        assert all(torch.equal(tensor, again.raw[name]) for name, tensor in final.raw.items())
        assert not equal_weights(whole, load(stored))
    averages = any(isinstance(callback, EMA) for callback in whole.configure_callbacks())
    assert averages == any(not torch.equal(tensor, whole.state_dict()[name]) for name, tensor in final.raw.items())


def test_the_best_weights_survive_an_interruption(tmp_path):
    whole, resumed = METHODS["trajectory-mlp"](), METHODS["trajectory-mlp"]()
    kept = BestWeights(patience=100)
    trainer(tmp_path, kept, every_step(tmp_path)).fit(whole, datamodule=data())
    again = BestWeights(patience=100)
    second = trainer(tmp_path, again, enable_checkpointing=False)
    second.fit(resumed, datamodule=data(), ckpt_path=tmp_path / f"step={2 * PER_EPOCH + 1}.ckpt", weights_only=True)
    assert (again.lowest, again.waited) == (kept.lowest, kept.waited)
    assert equal_weights(whole, resumed)


def test_a_killed_process_resumes_to_the_same_weights(tmp_path):
    """SIGKILL in the middle of a fit, then a second process that goes on from the last checkpoint."""
    whole = METHODS["trajectory-mlp"]()
    trainer(tmp_path, enable_checkpointing=False).fit(whole, datamodule=data())
    code = f"from tests.training.test_resume import slow_fit; slow_fit({str(tmp_path)!r})"
    kill_once_there(code, tmp_path / f"step={PER_EPOCH + 2}.ckpt")
    found = sorted(tmp_path.glob("step=*.ckpt"), key=lambda path: int(path.stem.partition("=")[2]))
    assert len(found) < STEPS
    resumed = METHODS["trajectory-mlp"]()
    second = trainer(tmp_path, enable_checkpointing=False)
    second.fit(resumed, datamodule=data(), ckpt_path=found[-2], weights_only=True)  # the last may be half-written
    assert equal_weights(whole, resumed)


def slow_fit(folder: str) -> None:
    """Slow enough to be killed in the middle."""

    class Slow(Callback):
        def on_train_batch_end(self, *_) -> None:
            time.sleep(0.1)

    torch.set_num_threads(1)
    trainer(Path(folder), Slow(), every_step(Path(folder))).fit(METHODS["trajectory-mlp"](), datamodule=data())


def test_other_data_are_refused(tmp_path):
    trainer(tmp_path, every_step(tmp_path)).fit(METHODS["trajectory-mlp"](), datamodule=data())
    with pytest.raises(CheckpointError, match="trained on other episodes"):
        trainer(tmp_path, enable_checkpointing=False).fit(
            METHODS["trajectory-mlp"](), datamodule=data(seed=1), ckpt_path=tmp_path / "step=4.ckpt", weights_only=True
        )


def test_another_module_is_refused(tmp_path):
    """By what differs, also where its weights have the same names and shapes."""
    make = METHODS["trajectory-mlp"]
    trainer(tmp_path, every_step(tmp_path)).fit(make(), datamodule=data())
    warmer = make()
    warmer.lr *= 2
    for module, reason in (
        (METHODS["trajectory-unet"](), r"another 'net' \(.*WindowMLP.*TemporalUNet"),
        (METHODS["transition"](), "is of a genrl.methods.trajectory_diffusion.TrajectoryDiffusion, not of a"),
        (warmer, "another 'lr'"),
    ):
        with pytest.raises(CheckpointError, match=reason):
            trainer(tmp_path, enable_checkpointing=False).fit(
                module, datamodule=data(), ckpt_path=tmp_path / "step=4.ckpt", weights_only=True
            )


def test_defaults_may_be_written_out(tmp_path):
    """As the command line does for every network."""
    trainer(tmp_path, every_step(tmp_path)).fit(BC(), datamodule=data())
    written = BC(net=partial(MLP, width=256, layers=2, activation=torch.nn.ReLU, layer_norm=False, dropout=0.0))
    second = trainer(tmp_path, enable_checkpointing=False)
    second.fit(written, datamodule=data(), ckpt_path=tmp_path / "step=4.ckpt", weights_only=True)
    assert second.global_step == STEPS


def test_what_no_fit_wrote_is_no_beginning(tmp_path):
    saved, cut = save(fit(BC(), linear(), 1, progress=False), tmp_path / "saved.ckpt"), tmp_path / "cut.ckpt"
    cut.write_bytes(saved.read_bytes()[:1000])
    options = ["--model", "genrl.learners.bc.BC", "--data.data", "nowhere-v0"]
    for path, reason in (
        (saved, "holds a module without the state of its fit"),
        (cut, "cannot be read as a checkpoint"),
        (tmp_path / "missing.ckpt", "There is no checkpoint at"),
    ):
        with pytest.raises(CheckpointError, match=reason):
            fit(BC(), linear(), 2, ckpt_path=path, progress=False)
        for run in (command.fit, command.validate):
            with pytest.raises(CheckpointError, match=reason):
                run("genrl fit", [*options, "--ckpt_path", str(path)])


@pytest.mark.parametrize("accelerator", ["cuda", "none-such"])
def test_an_accelerator_that_is_not_there_is_refused(accelerator):
    if accelerator == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    options = ["--model", "genrl.learners.bc.BC", "--data.data", "nowhere-v0", "--trainer.accelerator", accelerator]
    with pytest.raises(ConfigurationError, match=r"settings of the Trainer cannot work: .*accelerator"):
        command.fit("genrl fit", options)


def test_a_fit_that_had_stopped_stays_stopped(tmp_path):
    whole, again = BC(), BC()
    demanding = partial(BestWeights, patience=1, gain=10.0)  # no second look is so much lower
    first = trainer(tmp_path, demanding(), ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1))
    first.fit(whole, datamodule=data())
    second = trainer(tmp_path, demanding(), enable_checkpointing=False)
    second.fit(again, datamodule=data(), ckpt_path=tmp_path / "epoch=1.ckpt", weights_only=True)
    assert first.global_step == second.global_step == 2 * PER_EPOCH
    assert equal_weights(whole, again)


def test_the_average_follows_its_closed_form(tmp_path):
    """After the first step a copy; then average += (1 - min(decay, (1 + n) / (10 + n))) (weights - average)."""
    seen = []

    class Record(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_) -> None:
            seen.append(torch.nn.utils.parameters_to_vector(pl_module.parameters()).detach().double())

    decay = 0.3  # reached after four updates, so both parts of the rule are seen
    module = METHODS["trajectory-mlp"]()
    module.ema_decay = decay
    trainer(tmp_path, Record(), enable_checkpointing=False).fit(module, datamodule=data())
    average = seen[0]
    for n, weights in enumerate(seen[1:], start=1):
        average = torch.lerp(weights, average, min(decay, (1 + n) / (10 + n)))
    got = torch.nn.utils.parameters_to_vector(module.parameters()).double()
    torch.testing.assert_close(got, average, atol=1e-6, rtol=0)
    assert isinstance(module.configure_callbacks()[0], EMA)


def test_a_look_that_a_checkpoint_lacks_is_warned_of(tmp_path):
    """Lightning writes it between the last batch of an epoch and the look, which it does not repeat."""
    trainer(tmp_path, every_step(tmp_path)).fit(METHODS["trajectory-mlp"](), datamodule=data())
    with pytest.warns(UserWarning, match="the look at held-out data after it, which is not made up for"):
        require_resumable(tmp_path / f"step={2 * PER_EPOCH}.ckpt")
    trainer(tmp_path, ModelCheckpoint(tmp_path, "after")).fit(METHODS["trajectory-mlp"](), datamodule=data())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_resumable(tmp_path / f"step={PER_EPOCH + 1}.ckpt")
        require_resumable(tmp_path / "after.ckpt")
