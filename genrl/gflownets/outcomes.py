"""Q(y|s, s'): a distribution over outcomes after an action, one entry of the outcome after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from genrl.data.construction import Game
from genrl.gflownets.estimators import Net, columns


class OutcomeModel(nn.Module):
    """Autoregressive over the K entries of an outcome; s' is told by the action that leads there.

    Args:
        game: that it is for.
        net: maker of the network, which gives the logits of one entry.
    """

    def __init__(self, game: Game, net: Net) -> None:
        super().__init__()
        self.game = game
        self.entries, self.low, high = game.outcome_shape
        self.values = high - self.low + 1
        told = columns(game) + game.actions
        self.net = net(told + self.entries * self.values + self.entries, self.values)

    def log_prob(self, outcomes: Tensor, states: Tensor, actions: Tensor) -> Tensor:
        """(M,) log Q of outcomes (M, K) after actions (M,) in states (M, S)."""
        chosen = one_hot(outcomes - self.low, self.values).float()  # (M, K, V)
        earlier = torch.ones(self.entries, self.entries, device=chosen.device).tril(-1)
        before = (chosen[:, None] * earlier[..., None]).flatten(2)  # (M, K, K V)
        told = self._told(states, actions)[:, None].expand(-1, self.entries, -1)
        which = torch.eye(self.entries, device=chosen.device).expand(len(chosen), -1, -1)
        logits = self.net(torch.cat((told, before, which), -1))  # (M, K, V)
        return (logits.log_softmax(-1) * chosen).sum((1, 2))

    @torch.no_grad()
    def sample(self, states: Tensor, actions: Tensor, temperature: float = 1.0) -> Tensor:
        """(M, K) outcomes, drawn by torch's own generator from the tempered distribution of every entry."""
        told = self._told(states, actions)
        drawn = told.new_zeros(len(told), self.entries, self.values)
        for entry in range(self.entries):
            which = told.new_zeros(len(told), self.entries)
            which[:, entry] = 1
            logits = self.net(torch.cat((told, drawn.flatten(1), which), -1))
            value = (logits / temperature).softmax(-1).multinomial(1)
            drawn[:, entry] = drawn[:, entry].scatter(1, value, 1.0)
        return drawn.argmax(-1) + self.low

    def _told(self, states: Tensor, actions: Tensor) -> Tensor:
        return torch.cat((self.game.encode(states), one_hot(actions, self.game.actions).float()), -1)
