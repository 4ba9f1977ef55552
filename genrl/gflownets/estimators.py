"""Estimators of torchgfn over encoded states, and how an outcome enters them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from gfn.estimators import (
    ConditionalDiscretePolicyEstimator,
    ConditionalScalarEstimator,
    DiscretePolicyEstimator,
    ScalarEstimator,
)
from gfn.preprocessors import Preprocessor
from gfn.states import States
from torch import Tensor, nn

from genrl.data.construction import Game

Net = Callable[[int, int], nn.Module]
"""(entries in, entries out) -> network."""


class Encoded(Preprocessor):
    """States as the game encodes them."""

    def __init__(self, game: Game) -> None:
        super().__init__(game.columns)
        self.game = game

    def preprocess(self, states: States) -> Tensor:
        """(..., S) states as (..., D) columns."""
        return self.game.encode(states.tensor)


def columns(game: Game) -> int:
    """Numbers that a state is told in."""
    return game.columns


def policy(game: Game, net: Net) -> DiscretePolicyEstimator:
    """P_F(s'|s)."""
    return DiscretePolicyEstimator(net(columns(game), game.actions), game.actions, Encoded(game))


def flow(game: Game, net: Net) -> ScalarEstimator:
    """log F(s)."""
    return ScalarEstimator(net(columns(game), 1), Encoded(game))


def backward(game: Game) -> DiscretePolicyEstimator:
    """P_B(s|s'), the same for every parent; where all states have one parent, 1."""
    return UniformBackward(nn.Identity(), game.actions, Encoded(game), is_backward=True)


class UniformBackward(DiscretePolicyEstimator):
    """Equal for all parents, whatever the outcome.

    It carries no conditions, and its logits cost no network.
    """

    def forward(self, states: States, conditions: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """(..., A - 1) zeros."""
        return torch.zeros(*states.batch_shape, self.n_actions - 1, device=states.device)


def conditional_policy(game: Game, net: Net) -> ConditionalDiscretePolicyEstimator:
    """P_F(s'|s, y)."""
    joint = net(columns(game) + game.outcome_columns, game.actions)
    return ConditionalDiscretePolicyEstimator(nn.Identity(), nn.Identity(), joint, game.actions, Encoded(game))


def conditional_backward(game: Game, net: Net) -> ConditionalDiscretePolicyEstimator:
    """P_B(s|s', y)."""
    joint = net(columns(game) + game.outcome_columns, game.actions - 1)
    return ConditionalDiscretePolicyEstimator(
        nn.Identity(), nn.Identity(), joint, game.actions, Encoded(game), is_backward=True
    )


def conditional_flow(game: Game, net: Net) -> ConditionalScalarEstimator:
    """log F(s|y)."""
    return ConditionalScalarEstimator(
        nn.Identity(), nn.Identity(), net(columns(game) + game.outcome_columns, 1), Encoded(game)
    )
