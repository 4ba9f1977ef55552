"""Outcome-conditioned GFlowNets: pre-trained without any reward to build whatever object they are asked for.

Source: "Pre-Training and Fine-Tuning Generative Flow Networks" (Pan et al. 2024), https://arxiv.org/abs/2310.03419,
section 4. An explorer comes to objects x+, and its trajectories tau+ are examples of how to come to their outcome y+;
the network, asked for the same, builds trajectories tau- of its own, which mostly fail, and are examples for what they
came to instead, y-. With R(x|y) = 1 where x has the outcome y, and nearly nothing elsewhere, all are balanced:

    min  L(tau+ | y+, R = 1) + L(tau- | y+, R(x-|y+)) + L(tau- | y-, R = 1).

Without tau- the loss falls to zero for a network that ignores y. L is detailed balance with the reward on every edge
(outcome teleportation), which long trajectories need, or plain detailed balance, or the one annealed to the other. The
flows F(s|y) of detailed balance are right, and by them the network is turned to any reward without further training
(``ConvertedGFN``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from gfn.containers import Trajectories
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.construction import Game
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.randomness import generator
from genrl.diffusion.noise import BlockNoise
from genrl.gflownets.balance import Teleported
from genrl.gflownets.estimators import Net, backward, conditional_backward, conditional_flow, conditional_policy
from genrl.gflownets.explorer import Exploration, Explorer
from genrl.gflownets.paths import Paths, PathSampler, episodes_of
from genrl.gflownets.randomness import drawing_from
from genrl.gflownets.replay import Replay, actions_of
from genrl.gflownets.sampler import BlockDraw, replayed, sample, terminal
from genrl.methods.method import Block, Method
from genrl.nets.mlp import MLP
from genrl.training.module import Trainable
from genrl.training.schedule import warmup_cosine
from genrl.training.space_support import SpaceSupport
from genrl.training.spec import DataSpec


class OCGFN(Method, Trainable):
    """Builds objects of the outcome that it is asked for, in the environment that its data come from.

    An outcome is the object itself where the environment says nothing else.

    Examples come from an explorer, and then the data only say which environment it is; without one they are the data's
    own trajectories.

    Args:
        net: maker of all networks but the next.
        backward_net: maker of P_B(s|s', y), learned as published; None for one that takes all parents alike, which is
            no loss where states have one parent.
        explorer: how objects are explored; None to learn from the data's alone.
        replay: examples kept; half of every batch comes from them, and so do the outcomes of a synthesis that asks for
            none.
        epsilon: share of its own actions that are drawn evenly while it learns.
        miss: R(x|y) = miss / number of outcomes where x has another one: the flow that may go astray, below 1 for flows
            that are right; with the reward on every edge it may be more.
        teleport: weight of the reward on edges before the last: 1 as published, 0 for plain detailed balance, which is
            the better choice where trajectories are short and flows are needed.
        anneal: shares of the fit at which this weight begins to fall and is 0.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        seed: of initial weights and all draws.

    Raises:
        ConfigurationError: a number is out of range.
    """

    takes = SpaceSupport(observations=frozenset({"MultiDiscrete"}), actions=frozenset({"Discrete"}))
    understands: ClassVar[frozenset[str]] = frozenset({"outcome"})

    def __init__(
        self,
        net: Net = partial(MLP, width=256, layers=3),  # noqa: B008 (never changed)
        backward_net: Net | None = None,
        explorer: Explorer | None = Explorer(),  # noqa: B008 (frozen)
        replay: int = 10_000,
        epsilon: float = 0.05,
        miss: float = 0.01,
        teleport: float = 1.0,
        anneal: Sequence[float] = (1.0, 1.0),
        lr: float = 4e-3,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if replay < 1 or not 0 <= epsilon < 1 or miss <= 0 or teleport < 0:
            raise ConfigurationError(
                "OCGFN keeps at least one example, epsilon is a share below 1, miss above 0, teleport 0 or more; not"
                f" replay {replay}, epsilon {epsilon}, miss {miss}, teleport {teleport}."
            )
        if len(anneal) != 2 or not 0 <= anneal[0] <= anneal[1] <= 1:
            raise ConfigurationError(
                f"anneal holds two shares of the fit, the first not above the second, not {anneal}."
            )
        self.net, self.backward_net, self.explorer, self.replay = net, backward_net, explorer, replay
        self.epsilon, self.miss = epsilon, miss
        self.teleport, self.anneal, self.lr, self.seed = teleport, anneal, lr, seed

    def build(self, spec: DataSpec) -> None:
        """The environment of the data, the networks, and room for examples.

        Raises:
            ConfigurationError: a miss would be rewarded like a hit.
        """
        self.game = Game.of(spec.card)
        if self.log_miss >= 0:
            raise ConfigurationError(
                f"miss must be below the number of outcomes, {math.exp(self.game.log_outcomes):.0f}, not {self.miss}."
            )
        game, net = self.game, self.net
        pb = backward(game) if self.backward_net is None else conditional_backward(game, self.backward_net)
        self.balance = Teleported(conditional_policy(game, net), pb, conditional_flow(game, net))
        self.exploration = None if self.explorer is None else Exploration(self.game, self.net, self.explorer)
        self.examples = Replay(self.game, self.replay)

    def statistics(self, episodes: Episodes) -> None:
        """The data's own trajectories are the first examples."""
        self.examples.add(Paths.of(episodes, self.game.longest).actions[-self.replay :])

    def sampler(self, episodes: Episodes) -> PathSampler:
        """Trajectories as actions."""
        return PathSampler(Paths.of(episodes, self.game.longest))

    @property
    def log_miss(self) -> float:
        """Log R(x|y) where the outcome of x is not y."""
        return math.log(self.miss) - self.game.log_outcomes

    def weight(self, progress: float) -> float:
        """Of the reward on edges before the last, at a share of the fit."""
        first, last = self.anneal
        return self.teleport * min(max((last - progress) / max(last - first, 1e-9), 0.0), 1.0)

    def training_step(self, batch: Paths, batch_index: int) -> Tensor:
        """Both losses on one batch, and the explorer's own."""
        self.balance.weight = self.weight(self.updates / self.planned_steps())
        with drawing_from(self.noise_generator(batch_index)):
            metrics = self.losses(batch.trimmed())
        self.log_sparsely({f"train_{name}": value.detach() for name, value in metrics.items()})
        return metrics["loss"]

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        """What is minimised under ``loss``, and its parts."""
        plus, parts = self.positives(batch)
        y = self.came_to(plus)
        parts = {"positive": self.balanced(plus), **self.own(y), **parts}
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def own(self, outcomes: Tensor) -> dict[str, Tensor]:
        """What the network does when asked for outcomes (N, K): the loss of its failures, and in hindsight."""
        minus = self.asked(outcomes, self.epsilon)
        failed = ~self.hits(minus, outcomes)
        negative = self.balance.balance(minus, failed * self.log_miss)
        lost = minus[failed.nonzero()[:, 0]]  # the others are their own hindsight
        hindsight = failed.float().mean() * self.balanced(self.under(lost, self.came_to(lost)))
        return {"negative": negative, "hindsight": hindsight}

    def positives(self, batch: Tensor) -> tuple[Trajectories, dict[str, Tensor]]:
        """The batch's examples, each under its own object as the outcome, half of them from before."""
        parts: dict[str, Tensor] = {}
        fresh = batch
        if self.exploration is not None:
            made = self.exploration.propose(len(batch))
            parts, fresh = self.exploration.losses(made), actions_of(made)
        before = self.examples.draw(len(batch) // 2)
        self.examples.add(fresh)
        plus = replayed(self.game.env, padded(fresh[: len(batch) - len(before)], before))
        return self.under(plus, self.came_to(plus)), parts

    def came_to(self, made: Trajectories) -> Tensor:
        """(N, K) outcomes of the objects that trajectories end in."""
        return self.game.outcomes(terminal(made))

    def under(self, made: Trajectories, outcomes: Tensor) -> Trajectories:
        """Trajectories under outcomes (N, K)."""
        made.states.conditions = self.game.encode_outcome(outcomes).expand(len(made.states.tensor), -1, -1)
        return made

    def balanced(self, made: Trajectories) -> Tensor:
        """() loss of trajectories that came to the outcome they stand under, so that R = 1."""
        return self.balance.balance(made, torch.zeros(made.batch_size, device=made.device))

    def asked(self, outcomes: Tensor, epsilon: float = 0.0, **how: Any) -> Trajectories:
        """What the network builds when asked for outcomes (N, K)."""
        policy: Any = self.balance.pf
        return sample(self.game.env, policy, len(outcomes), self.game.encode_outcome(outcomes), epsilon=epsilon, **how)

    def hits(self, made: Trajectories, outcomes: Tensor) -> Tensor:
        """(N,) whether objects have the outcomes (N, K)."""
        return (self.came_to(made) == outcomes).all(-1)

    @torch.no_grad()
    def validation_step(self, batch: Paths, batch_index: int) -> None:
        """Share of the held-out objects whose outcome comes when asked for."""
        outcomes = self.game.outcomes(terminal(replayed(self.game.env, batch.trimmed())))
        with drawing_from(self.noise_generator(batch_index)):
            hit = self.hits(self.asked(outcomes), outcomes)
        self.log_dict({"val_success": hit.float().mean(), "val_loss": 1 - hit.float().mean()}, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Adam with warm-up and cosine decay over the whole fit; the explorer at rates of its own."""
        rates = [{"params": self.balance.parameters()}]
        rates += [] if self.exploration is None else self.exploration.rates()
        return warmup_cosine(torch.optim.Adam(rates, self.lr), self.planned_steps())

    @torch.no_grad()
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """Episodes of objects with ``conditions.outcome`` (B, K), or with the outcomes of examples drawn at random.

        The infos of a transition are ``log_pf``, the logarithm of its action's probability, and ``outcome`` (K,).

        Raises:
            ConditionError: an unknown condition.
            OutOfSpaceError: an outcome outside the environment.
            ConfigurationError: a length, which objects have of themselves.
        """
        conditions = conditions or Conditions()
        conditions.require(type(self).__name__, set(self.understands), block.size)
        refuse_length(length)
        outcomes = self._outcomes(block, conditions.outcome)
        noise = BlockNoise(block.seed, block.index)
        parts = []
        for part in block.parts(batch_size):
            wanted = outcomes[part]
            parts.append(self.asked(wanted, draw=BlockDraw(noise.part(part.start), len(wanted))))
        assert self.spec is not None
        policy: Any = self.balance.pf
        return episodes_of(self.game, self.spec, parts, policy, outcomes)

    def _outcomes(self, block: Block, wanted: Tensor | None) -> Tensor:
        if wanted is not None:
            return self.game.require_outcomes(wanted.to(self.examples.actions.device))
        known = self.game.outcomes(self.examples.objects())
        return known[torch.randint(len(known), (block.size,), generator=generator(block.seed, "outcome", block.index))]


def refuse_length(length: int | None) -> None:
    """Refuse a length of episodes.

    Raises:
        ConfigurationError: there is one.
    """
    if length is not None:
        raise ConfigurationError(f"An object is finished when it is: leave the length out, which is {length}.")


def padded(*parts: Tensor) -> Tensor:
    """(N, T) actions of several parts together, -1 where one is shorter."""
    longest = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, longest - part.shape[1]), value=-1) for part in parts])
