"""What trajectory diffusion learns, and what it must not see."""

import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch

from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.randomness import generator
from genrl.methods.method import Block
from genrl.methods.packing import ACTED, OBSERVED
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.nets.window_mlp import WindowMLP
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, A, B, assert_close, line, linear, two_levels, walks

SMALL = partial(WindowMLP, width=64, layers=2)


def trained(data, steps: int, **settings) -> TrajectoryDiffusion:
    method = TrajectoryDiffusion(SMALL, sampling=Sampling(steps=16), ema_decay=0.99, **settings)
    return fit(method, data, steps, batch_size=64, progress=False)


# the loss


@pytest.fixture
def prepared():
    method = METHODS["trajectory-mlp"]()
    data = walks(20)  # with constant columns: reward and done
    method.prepare(data)
    for parameter in method.parameters():  # a head of zeros would see nothing at all
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
    sampler = method.sampler(data)
    return method, sampler.fetch(torch.arange(len(sampler))).rows


def loss(method, rows) -> float:
    return method.loss(rows, generator(0, "test")).item()


def test_the_loss_sees_what_counts(prepared):
    method, rows = prepared
    changed = rows.clone()
    changed[:, 1, 0] += 1.0
    assert loss(method, changed) != loss(method, rows)


def test_the_loss_ignores_what_does_not_count(prepared):
    method, rows = prepared
    packing, expected = method.packing, loss(*prepared)
    last = rows[:, -1, ACTED] == 0  # windows at the end of an episode: no action in the last row
    assert last.any()
    assert not last.all()
    final = rows.clone()
    final[last, -1, packing.action.start : packing.dim] = 123.0
    assert loss(method, final) == expected
    padded, filled = rows.clone(), rows.clone()
    padded[:5, 2:, OBSERVED:] = filled[:5, 2:, OBSERVED:] = 0.0
    filled[:5, 2:, : packing.dim] = float("nan")
    assert loss(method, filled) == loss(method, padded)
    constant = rows.clone()
    assert packing.varies.tolist().count(False) == 2
    constant[..., : packing.dim][..., ~packing.varies] = 7.0
    assert loss(method, constant) == expected


def test_an_unconditional_fit_sees_no_returns(prepared):
    method, rows = prepared
    method.return_dropout = 1.0
    changed = rows.clone()
    changed[..., method.packing.dim] += 5.0
    assert loss(method, changed) == loss(method, rows)
    method.return_dropout = 0.0
    assert loss(method, changed) != loss(method, rows)


# what it learns


@pytest.fixture(scope="module")
def ending():
    return trained(line(100), 500, horizon=12, overlap=4)


def test_generated_episodes_end_where_the_data_do(ending):
    start = torch.linspace(0, 0.3, 64)[:, None]
    made = ending.synthesize(Block(0, 0, 64), Conditions(start=start))
    share = made.terminations.sum() / len(made)
    last = made.observations[""][made.observation_starts + made.lengths]
    assert share > 0.9
    assert 0.8 < float(last.median()) < 1.25
    inner = made.observations[""][made.observation_rows]
    assert (inner > 1.1).float().mean() < 0.1  # hardly any goes on beyond the end
    at_last = made.transition_starts + made.lengths - 1
    flags = made.terminations.long() + made.truncations.long()
    assert torch.equal(flags.nonzero().flatten(), at_last)
    assert (flags <= 1).all()


def test_stitched_episodes_end_as_well():
    """Here an episode is longer than any window, so ends have to come in later windows."""
    method = trained(line(100), 500, horizon=4, overlap=2)
    made = method.synthesize(Block(0, 0, 64), Conditions(start=torch.full((64, 1), 0.1)), length=16)
    assert made.terminations.sum() / len(made) > 0.9
    assert made.lengths.float().mean() == pytest.approx(7.5, abs=2.0)


def test_a_linear_system_is_obeyed():
    data = linear(60, 12)
    made = trained(data, 600, horizon=4, overlap=2).synthesize(Block(0, 0, 200))
    rows = made.observation_rows
    now, after = made.observations[""][rows].double(), made.observations[""][rows + 1].double()
    predicted = now @ torch.from_numpy(A).T + made.actions[""].double() @ torch.from_numpy(B).T
    residual = (after - predicted).square().mean().sqrt()
    step = (after - now).square().mean().sqrt()
    assert residual < 0.25 * step  # with shuffled actions it would be larger than the step
    assert made.observations[""].std(0).allclose(data.observations[""].std(0), rtol=0.25)


def test_a_wanted_return_moves_the_return():
    method = trained(two_levels(), 300, horizon=6, overlap=0)
    got = {}
    for wanted in (0.0, 6.0):
        made = method.synthesize(Block(0, 0, 40), Conditions(returns=torch.full((40,), wanted)))
        got[wanted] = float(made.returns.mean())
    assert got[0.0] < 1.5
    assert got[6.0] > 4.5
    method.guidance = 2.0
    guided = method.synthesize(Block(0, 0, 40), Conditions(returns=torch.full((40,), 6.0)))
    assert float(guided.returns.mean()) > 4.5


# lengths


@pytest.fixture(scope="module")
def stitching():
    return fit(METHODS["trajectory-mlp"](), linear(), 5, progress=False)


@pytest.mark.parametrize("length", [1, 3, 4, 5, 6, 11])
def test_episodes_have_the_length_asked_for(stitching, length):
    made = stitching.synthesize(Block(0, 0, 3), length=length)
    assert made.lengths.tolist() == [length] * 3
    assert made.truncations.sum() == 3


def test_longer_episodes_go_on_from_the_rows_they_share(stitching):
    """The first window stays what it was, and the second begins with its last rows."""
    short, long = (stitching.synthesize(Block(0, 0, 3), length=length) for length in (4, 7))
    rows = long.observation_starts[:, None] + torch.arange(4)  # the fourth action and state are given, too
    torch.testing.assert_close(
        long.observations[""][rows], short.observations[""][short.observation_starts[:, None] + torch.arange(4)]
    )
    acted = long.transition_starts[:, None] + torch.arange(4)
    torch.testing.assert_close(
        long.actions[""][acted], short.actions[""][short.transition_starts[:, None] + torch.arange(4)]
    )


def test_more_steps_of_a_longer_plan_begin_alike(stitching):
    one, other = (stitching.synthesize(Block(0, 0, 3), length=length) for length in (7, 8))
    cut = [episode.observations[""][:8] for episode in other]
    torch.testing.assert_close(one.observations[""], torch.cat(cut))


def test_lengths_that_cannot_be_are_refused(stitching):
    for length in (0, -1):
        with pytest.raises(ConfigurationError, match=f"at least one transition, not {length}"):
            stitching.synthesize(Block(0, 0, 1), length=length)
    for wishes, length, reason in (
        (Conditions(goal=torch.zeros(1, 2)), 3, "'goal' is where a window of 4 transitions ends"),
        (Conditions(goal=torch.zeros(1, 2)), 8, "'goal' is where a window of 4 transitions ends"),
        (Conditions(known=torch.zeros(1, 5, 5)), 8, "'known' covers one window"),
    ):
        with pytest.raises(ConditionError, match=reason):
            stitching.synthesize(Block(0, 0, 1), wishes, length=length)
    plain = fit(TrajectoryDiffusion(SMALL, horizon=4, overlap=0), linear(), 2, progress=False)
    with pytest.raises(ConfigurationError, match="without an overlap"):
        plain.synthesize(Block(0, 0, 1), length=5)
    for horizon, overlap in ((0, 0), (4, 5), (4, -1)):
        with pytest.raises(ConfigurationError, match="does not fit windows"):
            TrajectoryDiffusion(horizon=horizon, overlap=overlap)


def test_conditions_that_training_never_showed_are_refused():
    free = fit(METHODS["trajectory-mlp"](completion=0.0, return_dropout=1.0), linear(), 2, progress=False)
    for wishes, reason in (
        (Conditions(returns=torch.zeros(1)), "'returns', which its return_dropout of 1 withheld"),
        (Conditions(start=torch.zeros(1, 2)), "completion 0, .* knows nothing of the condition 'start'"),
        (Conditions(goal=torch.zeros(1, 2)), "'goal': fit it with a higher completion"),
        (Conditions(known=torch.zeros(1, 5, 5)), "'known'"),
    ):
        with pytest.raises(ConditionError, match=reason):
            free.synthesize(Block(0, 0, 1), wishes)
    with pytest.warns(UserWarning, match="never learned to go on from another window"):
        free.synthesize(Block(0, 0, 1), length=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(free.synthesize(Block(0, 0, 1), length=3)) == 1
    with pytest.raises(ConfigurationError, match=r"guidance 1\.5 leads to returns, of which a return_dropout of 1"):
        TrajectoryDiffusion(SMALL, return_dropout=1.0, guidance=1.5)


def test_sampling_may_be_set_anew(stitching):
    before = stitching.synthesize(Block(0, 0, 3))
    old = stitching.sampling
    stitching.sampling = replace(old, solver="dpmpp_2m", steps=5)
    after = stitching.synthesize(Block(0, 0, 3))
    stitching.sampling = old
    assert not torch.equal(before.observations[""], after.observations[""])
    assert_close(before, stitching.synthesize(Block(0, 0, 3)))
    with pytest.raises(ConfigurationError, match="no solver 'magic'; there are"):
        Sampling("magic")


@pytest.mark.parametrize(
    "settings",
    [
        {"completion": float("nan")},
        {"return_dropout": -1.0},
        {"context_noise": -1.0},
        {"ema_decay": 2.0},
        {"guidance": float("nan")},
        {"weight_decay": -1.0},
        {"overlap": 1.5},
        {"horizon": 4.0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_by_name(settings):
    (name,) = settings
    with pytest.raises(ConfigurationError, match="does not fit windows" if name in ("overlap", "horizon") else name):
        TrajectoryDiffusion(**settings)
