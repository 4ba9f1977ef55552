"""What may depend on what in the policies' transformer."""

import pytest
import torch

from genrl.nets.policy_transformer import Observed, PolicyTransformer

HISTORY, CHUNK, GOALS = 3, 2, 2


def build(**sizes) -> PolicyTransformer:
    torch.manual_seed(0)
    given = {"state_dim": 4, "goal_dim": 4, "action_dim": 2, "output_dim": 3, **sizes}
    net = PolicyTransformer(**given, history=HISTORY, chunk=CHUNK, goal_length=GOALS, width=16, layers=2, heads=2)
    return net.eval()


@pytest.fixture(scope="module")
def inputs() -> tuple[torch.Tensor, torch.Tensor, Observed]:
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return draw(5, HISTORY - 1 + CHUNK, 2), draw(5), Observed(draw(5, HISTORY, 4), draw(5, GOALS, 4))


def influence(changed: torch.Tensor, before: torch.Tensor) -> list[bool]:
    return [not torch.allclose(a, b, atol=1e-7) for a, b in zip(changed.unbind(1), before.unbind(1), strict=True)]


def test_an_action_sees_the_states_up_to_its_own(inputs):
    net, (actions, noise, observed) = build(), inputs
    before = net(actions, noise, observed)
    assert before.shape == (5, HISTORY - 1 + CHUNK, 3)
    for place in range(HISTORY):
        states = observed.states.clone()
        states[:, place] += 1
        after = net(actions, noise, observed._replace(states=states))
        assert influence(after, before) == [step >= place for step in range(HISTORY - 1 + CHUNK)]


def test_an_action_sees_itself_and_those_before_it(inputs):
    net, (actions, noise, observed) = build(), inputs
    before = net(actions, noise, observed)
    for place in range(actions.shape[1]):
        changed = actions.clone()
        changed[:, place] += 1
        assert influence(net(changed, noise, observed), before) == [step >= place for step in range(actions.shape[1])]


def test_noise_and_goals_reach_every_action(inputs):
    net, (actions, noise, observed) = build(), inputs
    before = net(actions, noise, observed)
    assert all(influence(net(actions, noise + 1, observed), before))
    assert all(influence(net(actions, noise, observed._replace(goals=observed.goals + 1)), before))


def test_a_goal_that_is_not_given_cannot_matter(inputs):
    net, (actions, noise, observed) = build(goal_dim=3), inputs
    torch.nn.init.normal_(net.free)
    goals = torch.full((5, GOALS, 3), torch.nan)
    without = net(actions, noise, observed._replace(goals=goals))
    assert without.isfinite().all()
    zeros = net(actions, noise, observed._replace(goals=torch.zeros_like(goals)))
    assert all(influence(zeros, without))  # not given is not zero


def test_goals_that_are_states_share_their_embedding():
    assert build().goal is None
    assert build(goal_dim=3).goal is not None


def test_queries_stand_in_for_actions(inputs):
    net, (_, _, observed) = build(), inputs
    before = net(None, None, observed)
    assert before.shape == (5, HISTORY - 1 + CHUNK, 3)
    later = net(None, None, observed._replace(states=observed.states + torch.eye(HISTORY)[-1][:, None]))
    assert influence(later, before) == [False, False, True, True]
