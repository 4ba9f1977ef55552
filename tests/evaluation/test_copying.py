"""The copying measure on data whose answer is known: fresh draws, exact copies, jittered copies, and brute force."""

import warnings

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from genrl.data.copying import CopyingWarning, copying, cross_copying, nearest_distances
from genrl.data.errors import AlignmentError, EmptyDatasetError


@pytest.fixture
def drawn(episode_factory):
    """Episodes drawn afresh from one smooth process."""

    def draw(seed: int, count: int = 40, jitter: float = 0.0, of: int | None = None):
        rng = np.random.default_rng(seed if of is None else of)
        phase = rng.uniform(0, 2 * np.pi, (count, 1))
        time = np.arange(21) / 5
        observations = np.stack([np.sin(time + phase), np.cos(time + phase) + rng.normal(0, 0.3, (count, 1))], -1)
        observations += jitter * np.random.default_rng(seed).normal(size=observations.shape)
        actions = np.diff(observations[..., :1], axis=1)
        return episode_factory([20] * count, observations.reshape(-1, 2), actions.reshape(-1, 1))

    return draw


def test_fresh_data_do_not_count_as_copies(drawn):
    fresh = copying(drawn(0), drawn(1, 200), drawn(2, 200), horizon=8)
    assert fresh.copying == pytest.approx(0.5, abs=0.05)
    assert fresh.close == pytest.approx(0.05, abs=0.04)
    assert fresh.ratio == pytest.approx(1.0, abs=0.15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh.warn()


def test_copies_are_found_and_warned_of(drawn):
    copied = copying(drawn(0), drawn(1), drawn(0).select([3, 1, 5]), horizon=8)
    assert copied.synthetic.max() == 0.0
    assert (copied.copying, copied.close, copied.ratio) == (1.0, 1.0, 0.0)
    with pytest.warns(CopyingWarning, match="100 % of the synthetic windows of 8 steps"):
        copied.warn()
    jittered = copying(drawn(0), drawn(1), drawn(5, jitter=0.001, of=0), horizon=8)
    assert jittered.copying > 0.95


def test_copies_of_few_states_are_told_from_fresh_walks_among_them(episode_factory):
    """Where states are few, fresh windows are found among the training ones, too."""

    def walks(seed: int):
        moves = np.random.default_rng(seed).integers(-1, 2, (60, 20, 2))
        places = np.concatenate([np.zeros((60, 1, 2)), moves.cumsum(1)], 1) % 6
        return episode_factory([20] * 60, places.reshape(-1, 2).astype(float), moves.reshape(-1, 2).astype(float))

    train, held_out = walks(0), walks(1)
    fresh, copied = (copying(train, held_out, data, horizon=3) for data in (walks(2), train))
    assert 0 < (fresh.held_out == 0).mean() < 0.5  # atoms at the percentile
    assert fresh.close == pytest.approx(0.05, abs=0.02)
    assert fresh.excess() is None
    assert "are training windows" in copied.excess()
    short = copying(train, held_out, walks(2), horizon=1)
    assert np.isnan(short.ratio)  # most of both are found
    assert short.excess() is None


def test_without_held_out_data_the_real_episodes_take_turns(drawn):
    real = drawn(0, 12)
    fresh = cross_copying(real, drawn(1, 100), horizon=8)
    assert fresh.copying == pytest.approx(0.5, abs=0.1)
    assert fresh.excess() is None
    assert fresh.held_out.size == 12 * 13  # every real window once
    copied = cross_copying(real, drawn(0, 12), horizon=8)
    assert (copied.synthetic == 0).mean() == pytest.approx(0.8, abs=0.05)  # found in four folds of five
    assert copied.excess() is not None
    with pytest.raises(EmptyDatasetError, match="Fewer than two real"):
        cross_copying(real[0], real)


def test_noise_keeps_away_from_the_data(drawn):
    assert copying(drawn(0), drawn(1), drawn(2, jitter=1.0), horizon=8).copying < 0.05


def test_copying_is_the_share_of_pairs(drawn):
    result = copying(drawn(0, 10), drawn(1, 6), drawn(2, 5, jitter=0.05), horizon=5)
    made, fresh = result.synthetic[:, None], result.held_out[None, :]
    assert result.copying == pytest.approx(((made < fresh) + 0.5 * (made == fresh)).mean())


def test_windows_stay_inside_episodes_and_distances_match_a_tree(drawn):
    train, held_out = drawn(0, 10), drawn(1, 6)
    result = copying(train, held_out, held_out, horizon=5, max_windows=10_000)
    table = torch.cat([train.observations[""][train.observation_rows], train.actions[""]], -1).float()
    mean, std = table.mean(0), table.std(0)

    def windows(episodes):
        cut = []
        for index in range(len(episodes)):
            one = episodes[index]
            rows = (torch.cat([one.observations[""][:-1], one.actions[""]], -1).float() - mean) / std
            cut += [rows[t : t + 5].flatten().numpy() for t in range(16)]
        return np.array(cut)

    expected = cKDTree(windows(train)).query(windows(held_out))[0] / np.sqrt(5 * 3)
    np.testing.assert_allclose(result.held_out, expected, atol=1e-5)
    np.testing.assert_array_equal(result.synthetic, result.held_out)


def test_nearest_distances_do_not_depend_on_the_parts():
    generator = torch.Generator().manual_seed(0)
    queries, known = torch.randn(7, 3, generator=generator), torch.randn(50, 3, generator=generator)
    whole = nearest_distances(queries, [known])
    torch.testing.assert_close(nearest_distances(queries, known.split(8), chunk=2), whole)
    expected = (queries[:, None] - known).square().mean(-1).min(-1).values.sqrt()
    torch.testing.assert_close(whole, expected)


def test_a_single_real_transition_is_a_measure_without_a_scale(episode_factory):
    real, fresh = (episode_factory([1], seed=seed) for seed in (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = copying(real, fresh, real, horizon=1)
    assert found.synthetic.tolist() == [0.0]
    assert found.held_out[0] > 0


def test_unfit_data_are_refused(drawn, episode_factory):
    with pytest.raises(EmptyDatasetError, match="longest has 20"):
        copying(drawn(0), drawn(1), drawn(2), horizon=21)
    other = episode_factory([20], observations=np.zeros((21, 3)))
    with pytest.raises(AlignmentError, match=r"observation\[2\]"):
        copying(drawn(0), drawn(1), other)
