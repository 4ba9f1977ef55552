"""The loss beside the paper's formula written out, and beside torchgfn's own detailed balance."""

import pytest
import torch
from gfn.gflownet import DBGFlowNet

from genrl.gflownets.balance import Teleported
from genrl.gflownets.estimators import backward, conditional_flow, conditional_policy
from genrl.gflownets.explorer import NET
from genrl.gflownets.sampler import sample
from tests.gflownets.games import game


@pytest.fixture(scope="module")
def case():
    own = game()
    balance = Teleported(conditional_policy(own, NET), backward(own), conditional_flow(own, NET))
    conditions = own.encode_outcome(torch.randint(4, (12, 2), generator=torch.Generator().manual_seed(0)))
    made = sample(own.env, balance.pf, 12, conditions)
    return own, balance, made, -torch.arange(12.0)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_every_edge_is_balanced_as_written(case, weight):
    own, balance, made, log_rewards = case
    balance.weight = weight
    scores = balance.edge_scores(made, log_rewards)
    row = 0
    for t in range(made.max_length):
        for n in range(12):
            if made.actions.is_dummy[t, n]:
                continue
            s, y = made.states[t, n : n + 1], made.states.conditions[0, n : n + 1]
            a = made.actions.tensor[t, n]
            log_pf = balance.pf.to_probability_distribution(s, balance.pf(s, y)).log_prob(a)
            last = int(a) == own.actions - 1
            after = made.states[t + 1, n : n + 1]
            log_f = 0.0 if last else balance.logF(after, y).squeeze()
            parents = (after.tensor > 0).sum()  # of a cell: one for each side that it is away from
            log_pb = 0.0 if last else -parents.log()
            share = 1.0 if last else weight
            expected = balance.logF(s, y).squeeze() + log_pf - log_f - log_pb - share * log_rewards[n]
            torch.testing.assert_close(scores[row], expected.squeeze(), atol=1e-5, rtol=1e-5)
            row += 1
    assert row == len(scores)


def test_without_weight_it_is_detailed_balance(case):
    own, balance, made, log_rewards = case
    balance.weight = 0.0
    of_edges = log_rewards.expand(made.max_length, -1)[~made.actions.is_dummy]
    theirs = DBGFlowNet(balance.pf, balance.pb, balance.logF)
    torch.testing.assert_close(
        balance.balance(made, log_rewards), theirs.loss(own.env, made.to_transitions(), log_rewards=of_edges)
    )


def test_no_trajectory_has_no_loss(case):
    _, balance, made, log_rewards = case
    assert balance.balance(made[torch.tensor([], dtype=torch.int64)], log_rewards[:0]) == 0
