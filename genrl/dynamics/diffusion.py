"""Diffusion over (s', r, done) given (s, a): next states of any distribution, where an ensemble's are Gaussian.

Source: "Free from Bellman Completeness" (Zhou et al. 2023), https://arxiv.org/abs/2310.19308, lets any generative model
stand for the dynamics; the objective is that of Karras et al. (2022), https://arxiv.org/abs/2206.00364.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genrl.data.normalizers import ZScore
from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.path import EDM
from genrl.diffusion.sampling import Sampling
from genrl.dynamics.changes import changes, varying
from genrl.dynamics.protocol import Outcome
from genrl.nets.mlp import DenoisingMLP

FEW_STEPS = Sampling("dpmpp_2m", steps=8, sigma_min=0.01, sigma_max=20.0)


class DiffusionDynamics(nn.Module):
    """A conditional denoiser of the change of state, the reward and the end, the latter as -1 or 1; a ``Dynamics``.

    Everything outside is in the data's own units; inputs and targets are normalised within.

    Args:
        state_dim, action_dim: S and A.
        net: denoiser network from S + 2 entries under conditions of S + A.
        sampling: how a step is drawn. From given noise a solver without randomness of its own leads to one outcome.

    Attributes:
        terminates: whether anything terminated in the data; if not, nothing ever does here.
        varies: (S + 1,) changes and rewards that are not constant in the data; the others keep their value.
    """

    terminates: Tensor
    varies: Tensor

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        net: Callable[[int, int], nn.Module] = DenoisingMLP,
        sampling: Sampling = FEW_STEPS,
    ) -> None:
        super().__init__()
        self.state_dim, self.action_dim, self.sampling = state_dim, action_dim, sampling
        self.inputs, self.targets = ZScore(state_dim + action_dim), ZScore(state_dim + 1)
        self.denoiser = Denoiser(net(state_dim + 2, state_dim + action_dim), EDM(), EDMPrediction(1.0))
        self.register_buffer("terminates", torch.tensor(False))
        self.register_buffer("varies", torch.ones(state_dim + 1, dtype=torch.bool))

    @property
    def noise_dim(self) -> int:
        """Numbers that a sample begins from: for the change of state, the reward and the end."""
        return self.state_dim + 2

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

    def loss(
        self,
        states: Tensor,
        actions: Tensor,
        next_states: Tensor,
        rewards: Tensor,
        ends: Tensor,
        t: Tensor,
        eps: Tensor,
    ) -> Tensor:
        """(B,) squared error of the network on transitions noised to levels ``t`` (B,) by ``eps`` (B, S + 2)."""
        change = self.targets.normalize(changes(states, next_states, rewards))
        clean = torch.cat((change * self.varies, 2 * ends[:, None] - 1), dim=-1)
        return self.denoiser.loss(clean, t, eps, self._condition(states, actions))

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Outcome:
        """One step, the sample that ``noise`` (B, S + 2) leads to; see ``Dynamics``.

        ``info`` holds ``disagreement`` (B,): there are no members to be apart, so it is how far the sample is from the
        mean of what may follow, in standard deviations of the data's changes and rewards.
        """
        condition = self._condition(state, action)
        drawn = self.sampling(self.denoiser, noise, condition, _none)  # (B, S + 2)
        target = drawn[:, :-1] * self.varies
        change, reward = self.targets.denormalize(target).split((self.state_dim, 1), dim=-1)
        highest = drawn.new_tensor(self.sampling.sigma_max)
        mean = self.denoiser(torch.zeros_like(drawn), highest, condition)[:, :-1]
        apart = (((target - mean) * self.varies).square().sum(-1) / self.varies.sum().clamp(min=1)).sqrt()
        terminated = (drawn[:, -1] > 0) & self.terminates
        return Outcome(state + change, reward.squeeze(-1), terminated, {"disagreement": apart})

    def _condition(self, states: Tensor, actions: Tensor) -> Tensor:
        return self.inputs.normalize(torch.cat((states, actions), dim=-1))


def _none(step: int, like: Tensor) -> Tensor:
    """No randomness beyond what a step is given: a solver that asks for more gets its mean."""
    return torch.zeros_like(like)
