"""Batches and the split behind them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from genrl.data.batch import Windows
from genrl.data.episodes import concatenate, split
from genrl.data.errors import ConfigurationError, DatasetMissingError, EmptyDatasetError
from genrl.training.batches import FixedBatches, RandomBatches, shares
from genrl.training.datamodule import EpisodesData
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, equal_weights, line, linear, walks


class Numbers:
    """Items that are their own index, plus an offset."""

    def __init__(self, count: int, offset: int = 0) -> None:
        self.count, self.offset = count, offset

    def __len__(self) -> int:
        return self.count

    def fetch(self, index, generator=None) -> Windows:
        noise = torch.rand(len(index), generator=generator)
        return Windows(index + self.offset + 0.5 * noise, torch.ones(len(index), dtype=torch.bool))


def batches(key=(0, "train", 0), per_epoch: int = 5, begun=lambda: 0) -> RandomBatches:
    return RandomBatches([Numbers(100), Numbers(50, 1000)], [3, 2], per_epoch, key, begun)


@given(st.integers(0, 10**6))
def test_a_batch_is_a_function_of_key_and_position_alone(position):
    used = batches()
    list(used)  # what came before does not matter
    assert torch.equal(used.at(position).rows, batches(per_epoch=7).at(position).rows)
    for key in ((1, "train", 0), (0, "validate", 0), (0, "train", 1)):
        assert not torch.equal(batches(key).at(position).rows, batches().at(position).rows)
    assert not torch.equal(batches().at(position).rows, batches().at(position + 1).rows)


def test_every_source_gives_its_rows_from_its_whole_range():
    rows = torch.stack([batches().at(position).rows.floor() for position in range(2000)])
    assert set(rows[:, :3].flatten().tolist()) == set(range(100))
    assert set(rows[:, 3:].flatten().tolist()) == set(range(1000, 1050))


def test_passes_follow_one_another_and_go_on_in_the_middle():
    begun = 0
    stream = batches(begun=lambda: begun)
    first = [batch.rows for batch in stream]
    begun = 5
    second = [batch.rows for batch in stream]
    begun = 7  # as after a resume in the middle of the second pass
    third = [batch.rows for batch in stream]
    expected = [batches().at(position).rows for position in range(12)]
    for got, wanted in zip([*first, *second, *third], expected[:10] + expected[7:], strict=True):
        assert torch.equal(got, wanted)


def test_validation_sees_the_same_batches_at_every_pass():
    fixed = FixedBatches(batches(per_epoch=3))
    one, other = ([batch.rows for batch in fixed] for _ in range(2))
    assert len(fixed) == len(one) == 3
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


weights = st.lists(st.floats(0, 1e6), min_size=1, max_size=6).filter(lambda w: sum(w) > 1e-6)


@given(st.integers(6, 4096), weights)
def test_shares_are_whole_add_up_and_are_as_near_as_can_be(batch_size, weights):
    rows = shares(batch_size, weights)
    assert sum(rows) == batch_size
    exact = [batch_size * weight / sum(weights) for weight in weights]
    given_up = sum(weight > 0 and share < 1 for weight, share in zip(weights, exact, strict=True))  # by the largest
    for count, weight, share in zip(rows, weights, exact, strict=True):
        assert count >= 1 or weight == 0
        assert -1 - 1e-6 - given_up < count - share < 1 + 1e-6


def test_no_data_set_is_left_out_of_a_batch():
    assert shares(256, [60, 40_000]) == [1, 255]
    assert shares(256, [1, 0, 15]) == [16, 0, 240]
    assert shares(0, [1, 1]) == [0, 0]
    with pytest.raises(ConfigurationError, match="batch_size of 2 has no room for a row of each of 3 data sets"):
        shares(2, [1, 5, 1])


class Watch(Callback):
    """Keeps what a fit is given."""

    def __init__(self) -> None:
        self.sizes, self.epochs = [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.sizes.append(len(batch.rows))
        self.epochs.append(trainer.current_epoch)


def fitted(data: EpisodesData, **settings) -> Watch:
    watch = Watch()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = Trainer(max_epochs=2, callbacks=[watch], enable_checkpointing=False, **quiet, **settings)
    trainer.fit(METHODS["trajectory-mlp"](), datamodule=data)
    return watch


def test_a_fit_gets_the_batches_asked_for():
    watch = fitted(EpisodesData(linear(), batch_size=6, batches_per_epoch=4))
    assert watch.sizes == [6] * 8
    assert watch.epochs == [0] * 4 + [1] * 4


def test_limited_epochs_are_equally_long():
    watch = fitted(EpisodesData(linear(), batch_size=6, batches_per_epoch=5), limit_train_batches=3)
    assert watch.epochs == [0] * 3 + [1] * 3


def test_the_split_is_by_whole_episodes_of_the_first_data_set():
    first, second = linear(20), linear(10, seed=1)
    data = EpisodesData([first, second], val_fraction=0.2, seed=3)
    data.setup("fit")
    train, held_out = split(first, 0.2, 3)
    assert len(data.val_episodes) == 4
    assert torch.equal(data.val_episodes.observations[""], held_out.observations[""])
    assert torch.equal(data.train_parts[0].observations[""], train.observations[""])
    assert data.train_parts[1] is second
    seen = {tuple(row.tolist()) for row in data.train_episodes.observations[""]}
    assert not seen & {tuple(row.tolist()) for row in data.val_episodes.observations[""]}


def test_one_episode_is_not_split():
    data = EpisodesData(linear(1))
    data.setup("fit")
    assert data.val_episodes is None


def test_unfit_data_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"Data set 2 .* has the observation space .* the first .* has"):
        EpisodesData([linear(), walks()]).setup("fit")
    with pytest.raises(ConfigurationError, match="fit to one of them"):
        EpisodesData([linear(), line()]).setup("fit")
    with pytest.raises(DatasetMissingError, match="nowhere-v0"):
        EpisodesData("nowhere-v0", root=str(tmp_path)).setup("fit")
    with pytest.raises(ConfigurationError, match="no data to fit to"):
        EpisodesData([])
    with pytest.raises(EmptyDatasetError, match=r"Data set 2 .* holds no transition"):
        EpisodesData([linear(), linear().select([])]).setup("fit")
    for settings, reason in (
        ({"weights": [1.0, 2.0]}, "one number, finite and not negative, for each of the 1"),
        ({"weights": [0.0]}, "not 0 for all"),
        ({"weights": [-1.0]}, "not negative"),
        ({"weights": [float("nan")]}, "finite"),
        ({"weights": [float("inf")]}, "finite"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batches_per_epoch": 0}, "batches_per_epoch must be at least 1"),
        ({"val_batches": -1}, "val_batches must be at least 0"),
        ({"val_fraction": 1.0}, "val_fraction"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            EpisodesData(linear(), **settings)


def test_episodes_too_short_for_the_horizon_are_refused():
    data = EpisodesData(linear(steps=3), batch_size=6, batches_per_epoch=4)
    with pytest.raises(EmptyDatasetError, match="window of 4 transitions: none terminates, and the longest has 3"):
        fitted(data)
    parts = [linear(1, 9), linear(1, 2, seed=1)]
    seed = next(s for s in range(9) if int(split(concatenate(parts), 0.5, s)[1].lengths[0]) == 2)
    with pytest.raises(EmptyDatasetError, match=r"The 1 held-out episodes cannot be used: .* Or hold out more"):
        fitted(EpisodesData(concatenate(parts), val_fraction=0.5, seed=seed, batch_size=6, batches_per_epoch=4))


def test_a_data_set_of_weight_zero_decides_nothing():
    """Neither what normal is, nor whether there are windows to be fitted to."""
    one, other, brief = linear(), linear(seed=3), linear(steps=2)
    other = replace(other, observations={path: 100 * leaf + 1000 for path, leaf in other.observations.items()})
    alone = fit(METHODS["trajectory-mlp"](), one, 4, progress=False)
    beside = fit(METHODS["trajectory-mlp"](), [one, other, brief], 4, weights=[1, 0, 0], progress=False)
    assert equal_weights(alone, beside)
    assert beside.spec.fingerprint == alone.spec.fingerprint


def test_callbacks_come_as_lightning_takes_them():
    for callbacks in (Callback(), None, []):
        fit(METHODS["trajectory-mlp"](), linear(), 2, callbacks=callbacks, progress=False)
    fit(METHODS["trajectory-mlp"](), linear(), 2, enable_progress_bar=False)
