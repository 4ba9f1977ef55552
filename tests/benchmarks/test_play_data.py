from dataclasses import replace

import numpy as np
import pytest

from benchmarks import play
from genrl.data.environments import make_env
from genrl.data.policies import RandomPolicy
from genrl.evaluation.evaluate import evaluate

pytest.importorskip("ogbench")
pytest.importorskip("gym_pusht")


class Recorded:
    """A policy that notes what it is asked in."""

    def __init__(self, policy):
        self.policy, self.seen = policy, []

    def reset(self, mask, seeds):
        self.policy.reset(mask, seeds)
        self.begins = mask

    def act(self, observations, conditions=None, deterministic=False):
        self.seen += [row.copy() for row in observations["observation"][self.begins]]
        self.begins = np.zeros_like(self.begins)
        return self.policy.act(observations, conditions, deterministic)


@pytest.mark.parametrize("name", ["pointmaze", "pusht"])
def test_policies_start_where_others_do(name, monkeypatch):
    monkeypatch.setitem(play.PLAYGROUNDS, name, replace(play.PLAYGROUNDS[name], episodes=4))
    space = make_env(play.environment(name)).action_space
    rests = type("Rests", (RandomPolicy,), {"act": lambda self, seen, *_: np.full((len(self._spaces), 2), 0.5, "f")})
    first, second, third = Recorded(RandomPolicy(space)), Recorded(rests(space)), Recorded(RandomPolicy(space))
    scores = play.play(first, name, seed=0, num_envs=2)
    assert scores.shape == (play.episodes(name),)
    assert ((scores >= 0) & (scores <= 1)).all()
    play.play(second, name, seed=0, num_envs=2)
    play.play(third, name, seed=1, num_envs=2)
    starts = [np.array(sorted(map(tuple, policy.seen))) for policy in (first, second, third)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert (starts[0] != starts[2]).any()


def test_success_is_the_score_of_ogbench():
    env = play.environment("pointmaze")
    found = evaluate(RandomPolicy(make_env(env).action_space), env, 2, 0, max_steps=5)
    assert play.score("pointmaze", found).tolist() == [0.0, 0.0]


def test_data_are_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(play, "TRANSITIONS", 1000)
    made = play.data("pointmaze", tmp_path)
    monkeypatch.setattr(play, "ogbench_play", None)
    found = play.data("pointmaze", tmp_path)
    assert made.num_transitions == found.num_transitions == 1000
    assert found.card.eval_env_spec is not None
