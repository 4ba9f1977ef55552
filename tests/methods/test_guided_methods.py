"""Methods that lead a fitted diffusion model: by a policy, by a critic, by an amplified return."""

import math
import warnings
from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.arrays import from_arrays
from genrl.data.conditions import Conditions
from genrl.data.errors import CheckpointError, ConditionError, ConfigurationError, DivergenceError
from genrl.data.randomness import generator
from genrl.data.store import load as load_data
from genrl.data.store import save as save_data
from genrl.diffusion.guidance import Combined, Constant, Posterior, Published, near
from genrl.learners.bc import BC
from genrl.learners.gcbc import GCBC
from genrl.learners.iql import IQL
from genrl.learners.rvs import RvS
from genrl.learners.td3bc import TD3BC
from genrl.methods.gta import GTA
from genrl.methods.method import Block
from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion
from genrl.methods.scores import PolicyScore, ValueScore, log_prob
from genrl.methods.steered import Guidance
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.transition_diffusion import TransitionDiffusion
from genrl.methods.value_guided_diffusion import ValueGuidedDiffusion
from genrl.methods.world_model import WorldModel
from genrl.nets.mlp import MLP
from genrl.nets.residual_mlp import ResidualMLP
from genrl.nets.window_mlp import WindowMLP
from genrl.synthesis.generate import Plan
from genrl.synthesis.lead import lead, scaled
from genrl.synthesis.sources import Guided
from genrl.synthesis.synthesize import synthesize
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import FEW, METHODS, WINDOWS, InterruptionError, assert_close, linear, walks

SMALL = partial(MLP, width=16)
AGENTS = {
    "bc": partial(BC, net=SMALL),
    "td3bc": partial(TD3BC, actor_net=SMALL, critic_net=SMALL),
    "iql": partial(IQL, actor_net=SMALL, critic_net=SMALL, value_net=SMALL),
}


@pytest.fixture(scope="module")
def model() -> TrajectoryDiffusion:
    return fit(WINDOWS(net=partial(WindowMLP, width=32, layers=1)), linear(40), 300, progress=False)


@pytest.fixture(scope="module", params=AGENTS.values(), ids=AGENTS.keys())
def agent(request):
    return fit(request.param(), linear(40), 40, progress=False)


@pytest.fixture(scope="module")
def critic() -> TD3BC:
    return fit(AGENTS["td3bc"](), linear(40), 200, progress=False)


def likelihood(agent, episodes) -> float:
    states = agent.observer.state.codec.encode(episodes.observations)[episodes.observation_rows]
    return float(log_prob(agent, states, episodes.actions[""]).mean())


def led(model, agent, scale: float, **guidance) -> PolicyGuidedDiffusion:
    return PolicyGuidedDiffusion(model, agent, Guidance(Posterior(scale), **guidance))


def test_the_stronger_the_guidance_the_likelier_the_actions(model, agent):
    block = Block(0, 0, 64)
    found = [likelihood(agent, model.synthesize(block))]
    found += [likelihood(agent, led(model, agent, scale, substeps=3).synthesize(block)) for scale in (1.0, 5.0, 20.0)]
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.05
    away = led(model, agent, -5.0).synthesize(block)
    assert likelihood(agent, away) < found[0]


def test_no_guidance_is_the_model_itself(model, agent):
    assert_close(led(model, agent, 0.0).synthesize(Block(0, 0, 8)), model.synthesize(Block(0, 0, 8)), atol=1e-4)


def test_the_score_of_a_mean_is_the_pull_towards_it(model):
    """d/dc of -(a - mu)^2 / 2 with a = tanh(c scale + shift), by hand; nothing but actions of transitions moves."""
    agent, packing = fit(AGENTS["bc"](), linear(40), 10, progress=False), model.packing
    rows = torch.randn(6, model.rows, packing.dim, generator=torch.Generator().manual_seed(0))
    score = PolicyScore(packing, agent)(rows)
    raw = packing.normalizer.denormalize(rows)
    mean = agent.mean(raw[:, :-1, :2].flatten(0, 1)).reshape(6, -1, 1)
    action = torch.tanh(raw[:, :-1, packing.action])
    scale = packing.normalizer.scale[packing.action]
    expected = torch.zeros_like(rows)
    expected[:, :-1, packing.action] = (mean - action) * (1 - action**2) * scale
    torch.testing.assert_close(score, expected, atol=1e-5, rtol=1e-4)


def test_the_score_is_the_slope_of_the_likelihood(model, agent):
    packing = model.packing
    rows = 0.5 * torch.randn(3, model.rows, packing.dim, generator=torch.Generator().manual_seed(0))
    score, step = PolicyScore(packing, agent)(rows), 1e-2

    def energy(rows) -> torch.Tensor:
        states, actions = packing.states(rows)[:, :-1], packing.actions(rows[:, :-1, packing.action])
        return log_prob(agent, states.flatten(0, 1), actions.flatten(0, 1)).reshape(3, -1).sum(1)

    nudge = torch.zeros_like(rows)
    nudge[:, 1, packing.action] = step
    slope = (energy(rows + nudge) - energy(rows - nudge)) / (2 * step)
    torch.testing.assert_close(score[:, 1, packing.action].squeeze(-1), slope, atol=5e-3, rtol=2e-2)


def test_where_windows_are_continued_their_last_action_is_led_as_well(model, critic):
    """It is handed on to the next window as it is, and carried out."""
    packing, last = model.packing, (slice(None), -1, model.packing.action)
    rows = torch.randn(6, model.rows, packing.dim, generator=torch.Generator().manual_seed(0))
    for score in (PolicyScore, ValueScore):
        plain, led_on = score(packing, critic)(rows), score(packing, critic, continued=True)(rows)
        assert not plain[last].any()
        assert led_on[last].all()
    alone, led_on = (PolicyScore(packing, critic, continued)(rows) for continued in (False, True))
    torch.testing.assert_close(alone[:, :-1], led_on[:, :-1], atol=1e-6, rtol=1e-5)
    behaviour = fit(AGENTS["bc"](), linear(40), 2, progress=False)
    away = PolicyGuidedDiffusion(model, critic, behaviour=behaviour)
    away_from = PolicyScore(packing, behaviour, continued=True)(rows)
    torch.testing.assert_close(away.gradient(continued=True)(rows), led_on - away_from)

    def distance(length: int, scale: float) -> np.ndarray:
        """How far the actions of each step are from the policy's."""
        made = led(model, critic, scale, substeps=5).synthesize(Block(0, 0, 128), length=length)
        wanted = critic.mean(made.observations[""][made.observation_rows])
        return (wanted - made.actions[""]).abs().reshape(128, length).mean(0).detach().numpy()

    unled, found = distance(10, 0.0), distance(10, 20.0)  # windows end in rows 4, 7 and 10
    assert (found < 0.7 * unled).all()


def test_the_log_prob_of_a_mean_alone_is_that_of_a_unit_gaussian(critic):
    states, actions = torch.randn(5, 2), torch.randn(5, 1)
    expected = torch.distributions.Normal(critic.mean(states), 1.0).log_prob(actions).sum(-1)
    torch.testing.assert_close(log_prob(critic, states, actions), expected)
    with pytest.raises(ConfigurationError, match="neither log_prob"):
        log_prob(torch.nn.Identity(), states, actions)


@pytest.mark.parametrize("guidance", [{"noisy": True}, {"normalize": True}, {"schedule": Published(0.1, steps=10)}])
def test_every_variant_leads_towards_the_policy(model, agent, guidance):
    block = Block(0, 0, 64)
    made = PolicyGuidedDiffusion(model, agent, Guidance(**{"schedule": Posterior(2.0), **guidance})).synthesize(block)
    assert likelihood(agent, made) > likelihood(agent, model.synthesize(block))


def test_a_behaviour_policy_is_led_away_from(model):
    target = fit(AGENTS["td3bc"](seed=3), linear(40), 60, progress=False)
    behaviour = fit(AGENTS["bc"](), linear(40), 200, progress=False)
    block, guidance = Block(0, 0, 64), Guidance(Posterior(3.0))
    plain = PolicyGuidedDiffusion(model, target, guidance).synthesize(block)
    both = PolicyGuidedDiffusion(model, target, guidance, behaviour).synthesize(block)
    assert likelihood(behaviour, both) < likelihood(behaviour, plain)
    same = PolicyGuidedDiffusion(model, behaviour, guidance, behaviour).synthesize(block)
    assert_close(same, model.synthesize(block), atol=1e-4)


def test_a_critic_is_climbed(model, critic):
    def value(episodes) -> float:
        states = episodes.observations[""][episodes.observation_rows]
        return float(critic.action_value(states, episodes.actions[""]).mean())

    block = Block(0, 0, 64)
    made = ValueGuidedDiffusion(model, critic, Guidance(Posterior(20.0))).synthesize(block)
    assert value(made) > value(model.synthesize(block))
    rows = torch.randn(3, model.rows, model.packing.dim)
    assert (ValueScore(model.packing, critic)(rows)[..., model.packing.state].abs() > 0).any()
    with pytest.raises(ConfigurationError, match="BC has no action_value"):
        ValueGuidedDiffusion(model, fit(BC(), linear(), 2, progress=False))


def test_guidance_works_with_goals_and_single_transitions():
    data = walks()
    for method in (
        WINDOWS(net=partial(WindowMLP, width=16, layers=1)),
        TransitionDiffusion(net=partial(ResidualMLP, width=16, layers=1), sampling=FEW),
    ):
        fitted = fit(method, data, 5, progress=False)
        for agent in (AGENTS["iql"](), AGENTS["td3bc"](), GCBC(net=SMALL)):
            policy = fit(agent, data, 2, progress=False)
            made = led(fitted, policy, 1.0)
            assert len(made.synthesize(Block(0, 0, 3))) == 3
            assert made.diagnostics["gradient_norm"] > 0


def test_blocks_batches_and_conditions_are_as_without_guidance(model, agent):
    method = led(model, agent, 2.0)
    whole = method.synthesize(Block(0, 0, 6))
    assert_close(whole, method.synthesize(Block(0, 0, 6), batch_size=2), atol=1e-4)
    start = torch.randn(6, 2)
    made = method.synthesize(Block(0, 0, 6), Conditions(start=start), length=7)
    torch.testing.assert_close(made.observations[""][made.observation_starts], start, atol=1e-5, rtol=0)
    with pytest.raises(ConditionError, match="latent"):
        method.synthesize(Block(0, 0, 6), Conditions(latent=start))


def test_it_is_kept_with_its_parts(model, agent, tmp_path):
    method = led(model, agent, 2.0, normalize=True)
    again = load(save(method, tmp_path / "led.ckpt"))
    assert isinstance(again, PolicyGuidedDiffusion)
    assert again.guidance == method.guidance
    assert_close(again.synthesize(Block(1, 2, 5)), method.synthesize(Block(1, 2, 5)), atol=0)
    torch.save({**torch.load(tmp_path / "led.ckpt", weights_only=True), "state_dict": {}}, tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError, match="does not fit"):
        load(tmp_path / "bad.ckpt")


def test_two_processes_make_the_same_data(model, critic, tmp_path):
    method, plan = led(model, critic, 2.0), Plan(8, block_size=4)
    one = synthesize(method, "one-v0", plan, root=tmp_path, progress=False)
    two = synthesize(method, "two-v0", plan, root=tmp_path, progress=False, processes=2)
    assert [(p / "data" / "main_data.hdf5").exists() for p in (one, two)] == [True, True]
    assert_close(load_data("one-v0", tmp_path), load_data("two-v0", tmp_path), atol=0)


def test_guidance_that_leads_beyond_all_numbers_is_told():
    model = fit(WINDOWS(net=partial(WindowMLP, width=8, layers=1), squash=False), linear(40), 5, progress=False)
    sharp = fit(AGENTS["iql"](), linear(40), 5, progress=False)
    with torch.no_grad():
        sharp.log_std.fill_(-3.0)
    with (
        pytest.warns(UserWarning, match=r"With substeps=4 guidance of weight 100 .* leave substeps out, or take \d+"),
        pytest.raises(DivergenceError, match="Leave substeps out"),
    ):
        led(model, sharp, 100.0, substeps=4).synthesize(Block(0, 0, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert led(model, sharp, 100.0).synthesize(Block(0, 0, 4)).actions[""].isfinite().all()


def test_what_cannot_lead_is_refused_by_name(model, critic):
    with pytest.raises(ConfigurationError, match="never fitted"):
        PolicyGuidedDiffusion(model, TD3BC())
    with pytest.raises(ConfigurationError, match="TrajectoryDiffusion was never fitted"):
        PolicyGuidedDiffusion(TrajectoryDiffusion(), critic)
    with pytest.raises(
        ConfigurationError,
        match=r"What the BC was fitted to has the observation space .* that of the TrajectoryDiffusion",
    ):
        PolicyGuidedDiffusion(model, fit(BC(net=SMALL), walks(), 2, progress=False))
    with pytest.raises(ConfigurationError, match="at least one substep"):
        Guidance(substeps=0)
    hindsight = fit(GCBC(net=SMALL), linear(), 2, progress=False)
    for refuse in (
        lambda: PolicyGuidedDiffusion(model, hindsight),
        lambda: PolicyGuidedDiffusion(model, critic, behaviour=hindsight),
        lambda: ValueGuidedDiffusion(model, hindsight),
        lambda: Guided(model)(hindsight, 0),
    ):
        with pytest.raises(ConfigurationError, match=r"The GCBC sees 4 columns of state and goal, .* hold 2: fit"):
            refuse()
    with pytest.raises(ConfigurationError, match="RvS cannot lead anything"):
        PolicyGuidedDiffusion(model, fit(RvS(net=SMALL), linear(), 2, progress=False))
    with pytest.raises(ConfigurationError, match="has nothing to fit"):
        fit(led(model, critic, 1.0), linear(), 2, progress=False)
    with pytest.raises(ConfigurationError, match="A WorldModel makes no data by itself"):
        lead(WorldModel(), {}, Guidance())
    with pytest.raises(CheckpointError, match="The guide must be a learner"):
        lead(model, {"guide": model}, Guidance())
    with pytest.raises(ConfigurationError, match="cannot be led by critic and guide"):
        lead(model, {"critic": critic, "guide": critic}, Guidance())
    assert scaled(Guidance(), 7.0).schedule == Posterior(7.0)


def test_discrete_actions_are_not_led():
    base = linear()
    choices = [np.arange(length) % 2 for length in base.lengths.tolist()]
    data = from_arrays(
        [episode.observations[""].numpy() for episode in base],
        choices,
        [episode.rewards.numpy() for episode in base],
        observation_space=base.observation_space,
        action_space=gym.spaces.Discrete(2),
    )
    model, policy = (fit(part, data, 2, progress=False) for part in (METHODS["trajectory-mlp"](), BC(net=SMALL)))
    with pytest.raises(ConfigurationError, match="discrete actions have no gradient"):
        PolicyGuidedDiffusion(model, policy)


def test_renoising_varies_a_window_the_more_the_further_it_goes(model):
    data = linear(40)

    def distance(level: float) -> float:
        method = GTA(model, data, level=level, amplify=1.0, weight=1.0)
        made = method.synthesize(Block(0, 0, 64))
        index = torch.randint(len(method.windows), (64,), generator=generator(0, "windows", 0))
        real = method.windows.fetch(index).rows[:, 0, model.packing.state]
        start = made.observations[""][made.observation_starts]
        return float(
            (start - model.packing.normalizer.denormalize(pad(real, model.packing.dim))[:, :2]).norm(dim=1).mean()
        )

    found = [distance(level) for level in (0.1, 0.5, 1.0)]
    assert found[0] < 0.1 < found[-1]
    assert found == sorted(found)


def pad(columns: torch.Tensor, dim: int) -> torch.Tensor:
    return torch.cat((columns, torch.zeros(len(columns), dim - columns.shape[1])), 1)


def test_an_amplified_return_raises_rewards(model):
    def reward(amplify: float) -> float:
        return float(GTA(model, linear(40), amplify=amplify).synthesize(Block(0, 0, 128)).rewards.mean())

    assert reward(2.0) > reward(1.0) + 0.05


def test_renoising_goes_on_with_the_data_that_it_began_with(model, tmp_path, monkeypatch):
    """Or begins anew, where these were overwritten while it was interrupted."""
    plan, whole = Plan(4, block_size=2), GTA.synthesize

    def interrupted(self, block: Block, *rest, **settings):
        if block.index == 1:
            raise InterruptionError
        return whole(self, block, *rest, **settings)

    def made(name: str):
        synthesize(GTA(model, "toy/real-v0", level=0.1, root=str(tmp_path)), name, plan, root=tmp_path, progress=False)
        return load_data(name, tmp_path)

    save_data(linear(20, seed=1), "toy/real-v0", root=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(GTA, "synthesize", interrupted)
        with pytest.raises(InterruptionError):
            made("toy/varied-v0")
    save_data(linear(20, seed=2), "toy/real-v0", root=tmp_path, overwrite=True)
    assert_close(made("toy/varied-v0"), made("toy/again-v0"))


def test_renoising_is_stored_by_the_id_of_its_data(model, tmp_path):
    save_data(linear(40), "toy/linear-v0", root=tmp_path)
    method = GTA(model, "toy/linear-v0", root=str(tmp_path))
    again = load(save(method, tmp_path / "gta.ckpt"))
    assert_close(again.synthesize(Block(0, 1, 4)), method.synthesize(Block(0, 1, 4)), atol=0)
    with pytest.raises(ConfigurationError, match="cannot be stored"):
        save(GTA(model, linear()), tmp_path / "memory.ckpt")
    with pytest.raises(ConfigurationError, match="above 0"):
        GTA(model, "toy/linear-v0", level=0.0)
    free = fit(WINDOWS(net=partial(WindowMLP, width=16, layers=1), return_dropout=1.0), linear(), 2, progress=False)
    with pytest.raises(ConfigurationError, match=r"nothing of the returns .* return_dropout of 1 withheld"):
        GTA(free, linear())
    with pytest.raises(ConfigurationError, match="as long as a window"):
        method.synthesize(Block(0, 0, 2), length=3)
    assert math.isfinite(float(np.mean(method.synthesize(Block(0, 0, 2)).rewards.numpy())))


@pytest.mark.parametrize("name", ["td3bc", "iql"])
def test_the_curvature_bounds_the_second_derivative_and_is_reached(model, name):
    """By differences of the score, all over the range of the actions."""
    agent, packing = fit(AGENTS[name](), linear(40), 20, progress=False), model.packing
    if name == "iql":
        agent.log_std.data.fill_(-1.0)
    score, step = PolicyScore(packing, agent), 1e-2
    rows = torch.randn(64, model.rows, packing.dim, generator=torch.Generator().manual_seed(0))
    states = packing.states(rows)[:, :-1].flatten(0, 1)
    scale, shift = packing.normalizer.scale[packing.action], packing.normalizer.shift[packing.action]
    mean = agent.mean(states).detach().clamp(-0.999, 0.999).reshape(64, -1, 1)
    rows[:, :-1, packing.action] = (torch.atanh(mean) - shift) / scale  # at the mean, where the curvature is defined
    up, down = rows.clone(), rows.clone()
    up[..., packing.action] += step
    down[..., packing.action] -= step
    bend = ((score(down) - score(up)) / (2 * step))[:, :-1, packing.action]
    expected = (1 - mean**2).square() * scale**2 * (1.0 if name == "td3bc" else math.exp(2.0))
    torch.testing.assert_close(bend, expected, atol=1e-3, rtol=1e-2)
    assert bend.max() <= score.curvature * 1.01
    assert score.curvature == pytest.approx(float(scale.square().max()) * (1.0 if name == "td3bc" else math.exp(2.0)))


def test_the_published_guidance_at_full_strength_ends_at_the_policy(model, critic):
    """One gradient a call, as the reference takes, leads far beyond it on a grid of few steps."""

    def distance(**guidance) -> float:
        led_by = PolicyGuidedDiffusion(model, critic, Guidance(Published(1.0), **guidance))
        made = led_by.synthesize(Block(0, 0, 64))
        wanted = critic.mean(made.observations[""][made.observation_rows])
        return float((wanted - made.actions[""]).abs().mean())

    assert distance() < 0.2 * distance(substeps=1)


@pytest.mark.parametrize("name", AGENTS)
def test_an_actor_is_asked_once_for_all_substeps(model, name):
    led_by, asked = fit(AGENTS[name](), linear(40), 2, progress=False), []
    led_by.actor.register_forward_hook(lambda *_: asked.append(None))
    counts = []
    for substeps in (1, 4):
        asked.clear()
        led(model, led_by, 20.0, substeps=substeps).synthesize(Block(0, 0, 8))
        counts.append(len(asked))
    assert counts[0] == counts[1] > 0


def test_a_gradient_near_some_rows_is_the_gradient_at_all_with_their_states(model, agent, critic):
    packing = model.packing
    rows, moves = torch.randn(2, 6, model.rows, packing.dim, generator=torch.Generator().manual_seed(0))
    there = rows.clone()
    there[..., packing.action] += moves[..., packing.action]
    both = Combined([(2.0, PolicyScore(packing, agent)), (-1.0, PolicyScore(packing, critic))])
    for score in (PolicyScore(packing, agent), PolicyScore(packing, critic), both):
        assert torch.equal(near(score, rows)(there), score(there))


@pytest.mark.parametrize("value", [math.nan, math.inf, "abc"])
def test_strengths_that_are_no_numbers_are_refused(model, value):
    for name in ("amplify", "weight"):
        with pytest.raises(ConfigurationError, match=f"{name} of a GTA is a finite number, not {value!r}"):
            GTA(model, linear(), **{name: value})
    with pytest.raises(ConfigurationError, match=f"scale of a Guidance is a finite number, not {value!r}"):
        scaled(Guidance(), value)


def test_data_of_other_spaces_are_not_varied(model):
    with pytest.raises(ConfigurationError, match=r"fitted to has the observation space .* is given now has"):
        GTA(model, walks()).synthesize(Block(0, 0, 2))


def test_the_guide_is_shown_what_is_given(model):
    """The network's own estimate of a given entry means nothing: its loss leaves given entries out."""
    shown = []

    class Watching(torch.nn.Module):
        spec = model.spec

        def mean(self, states):
            shown.append(states.reshape(8, model.horizon, -1)[:, 0].clone())
            return states.new_zeros(len(states), 1)

    start = torch.tensor([[1.5, -0.5]]).expand(8, -1)
    led(model, Watching(), 1.0).synthesize(Block(0, 0, 8), Conditions(start=start))
    assert len(shown) > 3
    torch.testing.assert_close(torch.stack(shown), start.expand(len(shown), 8, -1))
    shown.clear()
    led(model, Watching(), 1.0).synthesize(Block(0, 0, 8))
    assert max(float((seen - start).abs().max()) for seen in shown) > 0.1


def test_leading_away_from_a_policy_as_sharp_does_not_weaken_guidance():
    """The pulls of two unit Gaussians differ by a constant: there is no aim, so one step goes as far as many."""
    data = linear(40)
    wide = fit(WINDOWS(net=partial(WindowMLP, width=32, layers=1)), data, 200, progress=False)

    class Mean(torch.nn.Module):
        spec = wide.spec

        def __init__(self, place):
            super().__init__()
            self.place = place

        def mean(self, states):
            return torch.full((len(states), 1), self.place)

    def moved(substeps):
        guided = PolicyGuidedDiffusion(wide, Mean(0.05), Guidance(Posterior(100.0), substeps=substeps), Mean(-0.05))
        return float(guided.synthesize(Block(0, 0, 64)).actions[""].mean())

    assert moved(None) == moved(1) > 0.8 * moved(16) > 0.1


def test_what_never_varied_for_the_model_is_not_varied(model):
    data = linear(40)
    level = fit(
        WINDOWS(net=partial(WindowMLP, width=16, layers=1)),
        replace(data, rewards=torch.zeros_like(data.rewards)),
        20,
        progress=False,
    )
    with pytest.raises(ConfigurationError, match="rewards of these data vary"):
        GTA(level, data).synthesize(Block(0, 0, 2))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_schedules_and_weights_are_finite(value):
    for make in (Published, Posterior, Constant):
        with pytest.raises(ConfigurationError, match="scale of a schedule of guidance is a finite number"):
            make(value)
    with pytest.raises(ConfigurationError, match="behaviour of a Guidance is a finite number"):
        Guidance(behaviour=value)
    with pytest.raises(ConfigurationError, match=r"at least one substep, not 1\.5"):
        Guidance(substeps=1.5)
    with pytest.raises(ConfigurationError, match="highest must be at least 2, not 1"):
        Constant(1.0, lowest=2.0, highest=1.0)
