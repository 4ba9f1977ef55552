"""What must hold for every method: a new one enters the list in toy_methods and nothing here."""

import pytest
import torch

from genrl.data.conditions import Conditions
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.methods.method import Block, Method
from genrl.methods.model_rollouts import ModelRollouts
from tests.methods.toy_methods import COMPOSED, METHODS, assert_close, linear, ready, walks


@pytest.fixture(scope="module", params=[*METHODS, *COMPOSED])
def fitted(request) -> Method:
    return ready(request.param, linear())


@pytest.fixture(scope="module", params=[*METHODS, *COMPOSED])
def with_goals(request) -> Method:
    return ready(request.param, walks())


def understood(method: Method, **wishes: torch.Tensor) -> Conditions:
    """Those of the wishes that the method understands."""
    return Conditions(**{name: value for name, value in wishes.items() if name in method.understands})


def test_a_block_is_its_seed_and_index(fitted):
    once = fitted.synthesize(Block(0, 0, 7))
    torch.manual_seed(1)
    assert_close(once, fitted.synthesize(Block(0, 0, 7)))
    for other in (Block(1, 0, 7), Block(0, 1, 7)):
        assert not torch.equal(once.observations[""], fitted.synthesize(other).observations[""])
    assert len(once) == 7
    assert once.card.dataset_id is None


def test_a_smaller_block_is_the_beginning_of_a_larger_one(fitted):
    assert_close(fitted.synthesize(Block(0, 0, 9))[:4], fitted.synthesize(Block(0, 0, 4)), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_changes_nothing_beyond_rounding(fitted, batch_size):
    start = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    wishes = understood(fitted, start=start, returns=torch.arange(8.0))
    one = fitted.synthesize(Block(0, 0, 8), wishes)
    assert_close(one, fitted.synthesize(Block(0, 0, 8), wishes, batch_size=batch_size), atol=1e-5)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing_is_refused(fitted, batch_size):
    with pytest.raises(ConfigurationError, match=f"batch_size must be at least 1, not {batch_size}"):
        fitted.synthesize(Block(0, 0, 8), batch_size=batch_size)


def test_a_start_is_kept(fitted):
    start = torch.randn(6, 2)
    made = fitted.synthesize(Block(0, 0, 6), Conditions(start=start))
    torch.testing.assert_close(made.observations[""][made.observation_starts], start, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", METHODS)
def test_a_start_is_kept_in_columns_that_never_changed_in_the_data(name):
    data = linear()
    data.observations[""][:, 1] = 0.5
    method = ready(name, data)
    start = torch.randn(6, 2)
    made = method.synthesize(Block(0, 0, 6), Conditions(start=start))
    torch.testing.assert_close(made.observations[""][made.observation_starts], start, atol=1e-5, rtol=0)
    rest = torch.ones(len(made.observations[""]), dtype=torch.bool)
    rest[made.observation_starts] = False
    torch.testing.assert_close(made.observations[""][rest, 1], torch.full((int(rest.sum()),), 0.5))


def test_known_entries_are_kept_or_refused(fitted):
    if "known" not in fitted.understands:
        with pytest.raises(ConditionError, match="does not understand the condition 'known'"):
            fitted.synthesize(Block(0, 0, 5), Conditions(known=torch.zeros(5, 1, 1)))
        return
    packing, data = fitted.packing, linear(seed=5)
    raw = packing.normalizer.denormalize(packing.pack(data)[:, : packing.dim]).reshape(len(data), -1, packing.dim)
    known = torch.full((len(data), fitted.rows, packing.dim), torch.nan)
    known[:, 0] = raw[:, 0]
    made = fitted.synthesize(Block(0, 0, len(data)), Conditions(known=known))
    torch.testing.assert_close(
        made.observations[""][made.observation_starts],
        data.observations[""][data.observation_starts],
        atol=1e-5,
        rtol=0,
    )
    first = made.transition_starts
    torch.testing.assert_close(made.actions[""][first], data.actions[""][data.transition_starts], atol=1e-4, rtol=0)
    torch.testing.assert_close(made.rewards[first], data.rewards[data.transition_starts], atol=1e-5, rtol=0)


def test_episodes_lie_in_their_spaces_and_carry_the_goals(with_goals):
    made = with_goals.synthesize(Block(0, 0, 20))
    for path, leaf in made.actions.items():
        assert leaf.abs().max() <= 1
        assert leaf.dtype == torch.float32, path
    assert made.observations["observation"].dtype == torch.float64
    assert torch.equal(made.observations["achieved_goal"], made.observations["observation"][:, [0, 2]])
    pursued = with_goals.world_model.start_goals.tolist() if isinstance(with_goals, ModelRollouts) else None
    for episode in made:
        goal = episode.observations["desired_goal"]
        assert torch.equal(goal, goal[:1].expand_as(goal))
        if pursued is None:  # nobody had a goal, so the label is in hindsight
            assert torch.equal(goal[0], episode.observations["achieved_goal"][-1])
        else:
            assert goal[0].float().tolist() in pursued


def test_conditions_are_refused_by_name(fitted):
    name = type(fitted).__name__
    for wrong in ("latent", "outcome"):
        with pytest.raises(ConditionError, match=f"{name} does not understand the condition '{wrong}'; it"):
            fitted.synthesize(Block(0, 0, 3), Conditions(**{wrong: torch.zeros(3, 2)}))
    for wrong, value in (
        ("start", torch.zeros(3, 5)),
        ("start", torch.zeros(3)),
        ("known", torch.zeros(3, 1, 1)),
        ("returns", torch.zeros(3, 1)),
    ):
        expected = rf"'{wrong}' must be \(B.*not" if wrong in fitted.understands else f"not understand .*'{wrong}'"
        with pytest.raises(ConditionError, match=expected):
            fitted.synthesize(Block(0, 0, 3), Conditions(**{wrong: value}))
    with pytest.raises(ConditionError, match="'start' has 2 rows for a batch of 3"):
        fitted.synthesize(Block(0, 0, 3), Conditions(start=torch.zeros(2, 2)))


def test_goals_are_kept_or_refused(with_goals):
    goal = torch.randn(5, 2)
    if "goal" not in with_goals.understands:
        with pytest.raises(ConditionError, match="does not understand the condition 'goal'"):
            with_goals.synthesize(Block(0, 0, 5), Conditions(goal=goal))
        return
    made = with_goals.synthesize(Block(0, 0, 5), Conditions(goal=goal))
    ends = made.observation_starts + made.lengths
    torch.testing.assert_close(made.observations["achieved_goal"][ends].float(), goal, atol=1e-5, rtol=0)
    torch.testing.assert_close(made.observations["desired_goal"][ends].float(), goal, atol=1e-6, rtol=0)
    with pytest.raises(ConditionError, match=r"must be \(B, 2\), not \(5, 3\)"):
        with_goals.synthesize(Block(0, 0, 5), Conditions(goal=torch.zeros(5, 3)))


@pytest.mark.parametrize("name", ["trajectory-mlp", "transition", "imagination"])
def test_what_lies_outside_the_space_is_refused(name):
    method = ready(name, walks(bound=20.0))
    for wish, path in (("start", "observation"), ("goal", "achieved_goal")):
        if wish in method.understands:
            value = torch.zeros(4, {"start": 3, "goal": 2}[wish])
            method.synthesize(Block(0, 0, 4), Conditions(**{wish: value}))
            value[2, 1] = 20.1
            with pytest.raises(ConditionError, match=f"'{wish}' lies outside .* at '{path}' in row 2"):
                method.synthesize(Block(0, 0, 4), Conditions(**{wish: value}), batch_size=1)
