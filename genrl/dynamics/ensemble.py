"""A probabilistic ensemble over (s', r, done): what happens next, and where the model does not know.

Sources: "Deep Reinforcement Learning in a Handful of Trials using Probabilistic Dynamics Models" (PETS, Chua et al.
2018), https://arxiv.org/abs/1805.12114, for Gaussian members with learned bounds of their variance; "When to Trust Your
Model: Model-Based Policy Optimization" (MBPO, Janner et al. 2019), https://arxiv.org/abs/1906.08253, for the reward
among the outputs, elites by held-out error, and another elite drawn at every step. Where those are told in advance
which states terminate, here that is learned as well, by p(s', r | s, a) p(done | s, a, s'): an end is a matter of the
state that was reached, and a simpler one than how it was reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrl.data.normalizers import ZScore
from genrl.dynamics.changes import changes, varying
from genrl.dynamics.protocol import Outcome
from genrl.nets.ensemble_mlp import EnsembleMLP

Spread = Callable[[Tensor], Tensor]
"""Gives rows (B, D) to E members, C to each: (E, C, D)."""


class GaussianEnsemble(nn.Module):
    """M Gaussians over the change of state and the reward, each with a chance of termination; a ``Dynamics``.

    Everything outside is in the data's own units; inputs and targets are normalised within.

    Args:
        state_dim, action_dim: S and A.
        net: network from S + A to 2 (S + 1) columns for M members at once; a small one beside it tells what terminates.
        members: M.
        elites: how many of the members predict.

    Attributes:
        elites: (E,) the members that predict, the best ones first.
        terminates: whether anything terminated in the data; if not, nothing ever does here.
        varies: (S + 1,) the targets that are not constant in the data; the others keep their value.
    """

    elites: Tensor
    terminates: Tensor
    varies: Tensor

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        net: Callable[[int, int, int], nn.Module] = EnsembleMLP,
        members: int = 7,
        elites: int = 5,
    ) -> None:
        super().__init__()
        self.state_dim, self.action_dim, self.members = state_dim, action_dim, members
        targets = state_dim + 1
        self.inputs, self.targets = ZScore(state_dim + action_dim), ZScore(targets)
        self.net = net(state_dim + action_dim, 2 * targets, members)
        self.ends = EnsembleMLP(2 * state_dim + action_dim, 1, members, width=64, layers=2)
        self.lowest = nn.Parameter(torch.full((targets,), -10.0))  # bounds of the log variance
        self.highest = nn.Parameter(torch.full((targets,), 0.5))
        self.register_buffer("elites", torch.arange(min(elites, members)))
        self.register_buffer("terminates", torch.tensor(False))
        self.register_buffer("varies", torch.ones(targets, dtype=torch.bool))

    @property
    def noise_dim(self) -> int:
        """Numbers for the next state, the reward, the choice of a member and termination."""
        return self.state_dim + 3

    def fit(self, states: Tensor, actions: Tensor, next_states: Tensor, rewards: Tensor, ends: Tensor) -> None:
        """Fit the normalisers to N transitions; find constant targets and whether anything terminates."""
        self.inputs.fit(torch.cat((states, actions), dim=-1))
        self.targets.fit(changes(states, next_states, rewards))
        self.varies.copy_(varying(states, next_states, rewards))
        self.terminates.copy_(ends.any())

    def widen(self, states: Tensor, actions: Tensor, next_states: Tensor, rewards: Tensor, ends: Tensor) -> None:
        """Also predict what varies, ends or is another constant in N further transitions; the normalisers stay."""
        self.varies |= varying(states, next_states, rewards, self.targets.shift)
        self.terminates |= ends.any()

    def predict(self, states: Tensor, actions: Tensor, members: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance (M, B, S + 1) of the normalised change of state and reward, by all members or those
        asked for, of (M, B, S) states and (M, B, A) actions."""
        x = self.inputs.normalize(torch.cat((states, actions), dim=-1))  # (M, B, S + A)
        mean, log_variance = self.net(x, members).chunk(2, dim=-1)
        log_variance = self.highest - F.softplus(self.highest - log_variance)
        log_variance = self.lowest + F.softplus(log_variance - self.lowest)
        return mean * self.varies, log_variance

    def end(self, states: Tensor, actions: Tensor, following: Tensor, members: Tensor | None = None) -> Tensor:
        """(M, B) logit of termination on the way from states to ``following``, both (M, B, S)."""
        before = self.inputs.normalize(torch.cat((states, actions), dim=-1))
        after = self.inputs.normalize(torch.cat((following, actions), dim=-1))[..., : self.state_dim]
        return self.ends(torch.cat((before, after), dim=-1), members).squeeze(-1)

    def nll(self, states: Tensor, actions: Tensor, next_states: Tensor, rewards: Tensor, ends: Tensor) -> Tensor:
        """(M, B) negative log-likelihood of transitions of shape (M, B, ...), in normalised units."""
        target = self.targets.normalize(changes(states, next_states, rewards))
        gaussian = (gaussian_nll(*self.predict(states, actions), target) * self.varies).sum(-1)
        if not self.terminates:
            return gaussian + self._unused()
        logit = self.end(states, actions, next_states)
        return gaussian + F.binary_cross_entropy_with_logits(logit, ends, reduction="none")

    def spread(self) -> Tensor:
        """Width of the bounds of the log variance, a little of which belongs to the loss (Chua et al., app. A.1)."""
        return (self.highest - self.lowest).sum()

    def choose_elites(self, errors: Tensor) -> None:
        """Let the members with the lowest ``errors`` (M,) predict."""
        self.elites.copy_(errors.argsort(stable=True)[: len(self.elites)])

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Outcome:
        """One step by an elite drawn for each row; see ``Dynamics``.

        ``info`` holds ``disagreement`` (B,), the standard deviation of the elites' means in units of the data's own,
        and ``member`` (B,), which one predicted.
        """
        count, rows = len(self.elites), torch.arange(len(state), device=state.device)
        outcome, means = self.follow(state, action, noise, self.draw(noise), rows, lambda x: x.expand(count, -1, -1))
        return replace(outcome, info={**outcome.info, "disagreement": self._disagreement(means)})

    def draw(self, noise: Tensor) -> Tensor:
        """(B,) int64 places among the elites, drawn by the noise (B, K) of a step."""
        count = len(self.elites)
        return _uniform(noise[:, -2:-1]).mul(count).long().clamp(max=count - 1)

    def follow(
        self, state: Tensor, action: Tensor, noise: Tensor, drawn: Tensor, columns: Tensor, spread: Spread
    ) -> tuple[Outcome, Tensor]:
        """One step of each row by the elite ``drawn`` (B,) for it, and all means (E, C, S + 1) that were computed.

        Args:
            columns: (B,) where elite ``drawn[b]`` finds row b in what ``spread`` makes of the rows.
            spread: gives each elite C rows (E, C, D) of (B, D).
        """
        normal, chance = noise[:, : self.state_dim + 1], noise[:, -1:]
        states, actions = spread(state), spread(action)
        means, log_variances = self.predict(states, actions, self.elites)
        mean, log_variance = means[drawn, columns], log_variances[drawn, columns]  # (B, S + 1)
        target = mean + (0.5 * log_variance).exp() * normal * self.varies
        change, reward = self.targets.denormalize(target).split((self.state_dim, 1), dim=-1)
        following = state + change
        terminated = torch.zeros_like(drawn, dtype=torch.bool)
        if self.terminates:
            logit = self.end(states, actions, spread(following), self.elites)[drawn, columns]
            terminated = _uniform(chance) < logit.sigmoid()
        return Outcome(following, reward.squeeze(-1), terminated, {"member": self.elites[drawn]}), means

    def _unused(self) -> Tensor:
        """0, by which every weight of ``ends`` has a gradient of 0: weights without one are missed by parallel fits."""
        return 0.0 * torch.stack([weight.sum() for weight in self.ends.parameters()]).sum()

    def _disagreement(self, means: Tensor) -> Tensor:
        """(B,) root mean square, over the targets that vary, of the standard deviation over members (E, B, S + 1)."""
        return (means.var(0, correction=0).sum(-1) / self.varies.sum().clamp(min=1)).sqrt()


def gaussian_nll(mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """-log N(target; mean, exp(log_variance)), entry by entry."""
    return 0.5 * ((target - mean).square() * (-log_variance).exp() + log_variance + math.log(2 * math.pi))


def _uniform(normal: Tensor) -> Tensor:
    """(B, 1) standard normal numbers as (B,) uniform ones."""
    return torch.special.ndtr(normal.squeeze(-1))
