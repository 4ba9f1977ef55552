"""Plans by outcome: an OC-GFN draws where to go, a controller goes there, in a world model or in the simulator.

Source: outcome-conditioned GFlowNets as in "Pre-Training and Fine-Tuning Generative Flow Networks" (Pan et al. 2024),
https://arxiv.org/abs/2310.03419, with the plans of a data set in place of an explorer's. A plan is a route of tokens
(``Tokens``), its outcome the first and the last of them. Since a GFlowNet is fair to all objects of an outcome, plans
differ where there are several ways.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.randomness import generator
from genrl.diffusion.noise import BlockNoise
from genrl.dynamics.protocol import Dynamics
from genrl.dynamics.pursuit import Controller, PointMass, Waypoints, pursue
from genrl.dynamics.rollout import Rollout
from genrl.gflownets.sampler import BlockDraw, terminal
from genrl.gflownets.walks import NOTHING, Walks
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import Block, Composite, require_length, require_one_world
from genrl.methods.ocgfn import OCGFN
from genrl.methods.tokens import Tokens
from genrl.training.module import Trainable


class World(Protocol):
    """Where plans are carried out: a ``LearnedWorld``, or a ``Simulated`` environment."""

    def dynamics(self, disagreement: bool = True) -> Dynamics:
        """What is rolled out."""


@runtime_checkable
class Aimed(Protocol):
    """Dynamics that reward steps by goals."""

    def towards(self, goals: Tensor) -> Dynamics:
        """The same for rows with these goals (B, G)."""


@runtime_checkable
class Faulting(Protocol):
    """Dynamics that know which states are impossible."""

    def faults(self, states: Tensor) -> dict[str, Tensor]:
        """Why some of the states (B, S) are: reason -> (B,) bool."""


class OutcomePlans(Composite):
    """Episodes that follow plans for an outcome.

    Args:
        planner: an OC-GFN fitted to ``tokens.encode(...)``.
        tokens: that its plans are written in.
        world: where plans are carried out.
        controller: what leads from a state to the next waypoint: a setting such as ``PointMass``, or a fitted learner
            that takes goals, such as ``GCBC``.
        tries: plans drawn for a row until one has the outcome that was asked for; the last stands if none has.
        within: distance at which a waypoint is passed, in units of the tokens' own.
        horizon: transitions in an episode at most.

    Raises:
        ConfigurationError: a part was never fitted, or to other spaces, or the planner to other tokens; a number is out
            of range.
    """

    understands: ClassVar[frozenset[str]] = frozenset({"start", "goal", "outcome"})

    def __init__(
        self,
        planner: OCGFN,
        tokens: Tokens,
        world: World,
        controller: Controller | Trainable = PointMass(),  # noqa: B008 (frozen)
        tries: int = 64,
        within: float = 0.3,
        horizon: int = 600,
    ) -> None:
        super().__init__()
        if planner.spec is None:
            raise ConfigurationError("This OCGFN was never fitted; fit it to tokens.encode(episodes) first.")
        walks: Any = planner.game.env
        if not isinstance(walks, Walks) or walks.tokens != len(tokens):
            raise ConfigurationError(
                f"The planner builds other objects than routes of these {len(tokens)} tokens: fit it to"
                " tokens.encode(episodes)."
            )
        if tries < 1 or horizon < 1 or within <= 0:
            raise ConfigurationError(
                f"A plan takes one try and one step or more, and a waypoint has some extent; not tries {tries}, horizon"
                f" {horizon}, within {within}."
            )
        self.planner, self.tokens, self.world, self.controller = planner, tokens, world, controller
        self.tries, self.within, self.horizon = tries, within, horizon
        self.spec = tokens.source
        for part in (world, controller):
            if isinstance(part, Trainable):
                require_one_world(self, part)
        if isinstance(controller, Trainable):
            self._require_goals(controller)

    @property
    def walks(self) -> Walks:
        """What plans are built in."""
        walks: Any = self.planner.game.env
        return walks

    @torch.no_grad()
    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """Episodes from ``conditions.start`` (B, S) to ``conditions.goal`` (B, G), of at most ``length`` transitions.

        Or from the first token to the last of ``conditions.outcome`` (B, 2). What is not asked for is drawn: among what
        the tokens can reach, or the data's own outcomes where nothing is asked for. An episode begins at the state that
        stands for its first token where no start is given. It ends where its plan does, or when its time is up. A row
        whose very first step leaves the range of a world model's data is left out, and warned of.

        The infos of a transition are ``plan`` (H,), the plan's tokens and -1 after them; ``outcome`` (2,), what was
        asked for; ``kept``, whether the plan has that outcome; ``reached``, whether the episode ends in its last token.

        Raises:
            ConditionError: an unknown condition, a wrong shape, an outcome that no plan has, or one that begins
                elsewhere than at the start; a start that is impossible in the simulator.
            ConfigurationError: a length below one, or not one episode takes a step.
        """
        conditions = conditions or Conditions()
        conditions.require(type(self).__name__, set(self.understands), block.size)
        require_length(length)
        outcomes = self.outcomes(block, conditions)
        self._require_possible(conditions.start)
        noise, parts = BlockNoise(block.seed, block.index), []
        for part in block.parts(batch_size):
            plans = self.plan(outcomes[part], noise.part(part.start))
            starts = None if conditions.start is None else conditions.start[part]
            goals = None if conditions.goal is None else conditions.goal[part]
            made = self._followed(plans, starts, goals, length, noise.part(part.start))
            if told := made.divergence(part.start):
                warnings.warn(f"{told}; fit the world model longer or shorten the episodes.", stacklevel=2)
            parts.append(self._lived(made, plans, outcomes[part], goals))
        parts = [part for part in parts if len(part)]
        if not parts:
            raise ConfigurationError(
                "Not one episode takes a step: fit the world model longer, or ask for other starts."
            )
        return concatenate(parts)

    def outcomes(self, block: Block, conditions: Conditions) -> Tensor:
        """(B, 2) first and last token of each row: asked for, or drawn.

        Raises:
            ConditionError: see ``synthesize``.
        """
        first, last = torch.full((2, block.size), NOTHING)
        if conditions.outcome is not None:
            first, last = self.planner.game.require_outcomes(conditions.outcome.cpu()).unbind(-1)
        if conditions.start is not None:
            begun = self._named(conditions.start)
            if conditions.outcome is not None and not torch.equal(begun, first):
                row = int((begun != first).nonzero()[0])
                raise ConditionError(
                    f"Row {row} starts in token {int(begun[row])} and its outcome begins with {int(first[row])}: leave"
                    " one of the two conditions out."
                )
            first = begun
        if conditions.goal is not None:
            last = self.tokens.of_goals(conditions.goal)
        if not conditions.given():
            return self.planner._outcomes(block, None).cpu()
        first, last = self._drawn(block, first, last)
        self._require(first, last)
        return torch.stack((first, last), dim=-1)

    def plan(self, outcomes: Tensor, noise: BlockNoise) -> Tensor:
        """(B, H) tokens of plans for outcomes (B, 2), -1 after the last."""
        size, found = len(outcomes), None
        for attempt in range(self.tries):
            draw = _Later(BlockDraw(noise, size), attempt * self.planner.game.longest)
            plans = terminal(self.planner.asked(outcomes, draw=draw)).cpu()
            found = plans if found is None else torch.where(self.kept(found, outcomes)[:, None], found, plans)
            if bool(self.kept(found, outcomes).all()):
                break
        assert found is not None
        return found

    def kept(self, plans: Tensor, outcomes: Tensor) -> Tensor:
        """(B,) whether plans (B, H) have outcomes (B, 2)."""
        return (self.walks.outcome(plans) == outcomes.to(plans)).all(-1)

    def waypoints(self, plans: Tensor, goals: Tensor | None = None) -> Waypoints:
        """Plans (B, H) as states to come to; the last of them lies at goals (B, G) where these are given."""
        states, counts = self.tokens.decode(plans.clamp(min=0)), (plans != NOTHING).sum(-1)
        if goals is not None:
            achieved = torch.tensor(self.tokens.layout.achieved)
            states[torch.arange(len(plans))[:, None], counts[:, None] - 1, achieved] = goals.to(states)
        unit = torch.tensor(self.tokens.unit, dtype=torch.float64)
        return Waypoints(states, counts, list(self.tokens.columns), unit, self.within)

    def carry_out(
        self,
        waypoints: Waypoints,
        starts: Tensor,
        goals: Tensor | None = None,
        length: int | None = None,
        noise: BlockNoise | None = None,
    ) -> Rollout:
        """Follow waypoints of B rows, from whichever plan, from states ``starts`` (B, S).

        Args:
            waypoints: where to go.
            starts: states to begin at.
            goals: (B, G) that rewards are of; what the last waypoint achieves by default.
            length: transitions at most.
            noise: of the world.
        """
        dynamics, bounds, kind = self.world.dynamics(False), None, torch.float64
        if isinstance(self.world, LearnedWorld):
            bounds, kind = (self.world.low, self.world.high), self.world.low.dtype
        if isinstance(dynamics, Aimed):
            last = waypoints.target(waypoints.counts - 1)[:, self.tokens.layout.achieved]
            dynamics = dynamics.towards(last if goals is None else goals)
        there = replace(waypoints, states=waypoints.states.to(kind))
        return pursue(
            dynamics,
            self._controller(),
            there,
            starts.to(kind),
            length or self.horizon,
            noise or BlockNoise(0, 0),
            bounds,
        )

    def _followed(
        self, plans: Tensor, starts: Tensor | None, goals: Tensor | None, length: int | None, noise: BlockNoise
    ) -> Rollout:
        begun = self.tokens.decode(plans[:, 0]) if starts is None else starts
        return self.carry_out(self.waypoints(plans, goals), begun, goals, length, noise)

    def _lived(self, made: Rollout, plans: Tensor, outcomes: Tensor, goals: Tensor | None) -> Episodes:
        """Those that took a step as episodes, with what there is to tell of them."""
        some = made.lengths > 0
        lengths = made.lengths[some]
        episodes = self.tokens.layout.episodes(
            made.states[some],
            made.actions[some],
            made.rewards[some],
            lengths,
            made.terminated[some],
            None if goals is None else goals[some],
        )
        ends = self.tokens.name(made.states[torch.arange(len(plans)), made.lengths])
        infos = {
            "plan": plans,
            "outcome": outcomes,
            "kept": self.kept(plans, outcomes),
            "reached": ends == outcomes[:, 1],
        }
        return replace(episodes, infos={name: rows[some].repeat_interleave(lengths, 0) for name, rows in infos.items()})

    def _require_goals(self, learner: Any) -> None:
        if not hasattr(learner, "decide") or learner.observer.goal.dim != len(self.tokens.layout.achieved):
            raise ConfigurationError(
                f"The controller of {type(self).__name__} leads to waypoints: a setting such as PointMass, or a learner"
                f" that acts on a state and a goal, such as GCBC, not this {type(learner).__name__}."
            )

    def _controller(self) -> Controller:
        if not isinstance(self.controller, Trainable):
            return self.controller
        learner: Any = self.controller
        codec, achieved = self.tokens.layout.action_codec, self.tokens.layout.achieved

        def act(states: Tensor, targets: Tensor) -> Tensor:
            seen = learner.observer.normalize(torch.cat((states, targets[:, achieved]), dim=-1).float())
            return codec.encode(learner.decide(learner(seen), None)).to(states)

        return act

    def _named(self, starts: Tensor) -> Tensor:
        dim = len(self.tokens.states[0])
        if starts.ndim != 2 or starts.shape[1] != dim:
            raise ConditionError(f"The condition 'start' must be (B, {dim}), not {tuple(starts.shape)}.")
        return self.tokens.name(starts)

    def _drawn(self, block: Block, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) first and last tokens, drawn where they are -1 among those that the other can go with."""
        joined = (self.walks.distances() > 0) & self.walks.begins[:, None]  # (V, V)
        coins = torch.rand(block.size, generator=generator(block.seed, "outcome", block.index))
        return (
            torch.where(first < 0, _drawn_from(joined.T[last], coins), first),
            torch.where(last < 0, _drawn_from(joined[first], coins), last),
        )

    def _require_possible(self, starts: Tensor | None) -> None:
        """Refuse starts that a simulator cannot be put into."""
        dynamics = self.world.dynamics(False)
        if starts is None or not isinstance(dynamics, Faulting):
            return
        for reason, broken in dynamics.faults(starts).items():
            if broken.any():
                row = int(broken.nonzero()[0])
                raise ConditionError(
                    f"Row {row} of the condition 'start' is no state that the simulator can be in ({reason}): begin"
                    " elsewhere."
                )

    def _require(self, first: Tensor, last: Tensor) -> None:
        """Refuse outcomes that no plan has."""
        walks = self.walks
        idle = ~walks.begins[first]
        if idle.any():
            row = int(idle.nonzero()[0])
            raise ConditionError(
                f"Row {row} starts in token {int(first[row])}, which nothing follows in the data: start elsewhere, or"
                " give data that go on from there."
            )
        far = walks.distances()[first, last] < 0
        if far.any():
            row = int(far.nonzero()[0])
            raise ConditionError(
                f"Row {row}: no plan of at most {walks.longest} tokens leads from token {int(first[row])} to"
                f" {int(last[row])}; ask for a nearer outcome, or encode the data with a longer 'longest'."
            )


@dataclass(frozen=True)
class _Later:
    """Draws that begin at a later step."""

    draw: Callable[[Any, int, Tensor], Tensor]
    first: int

    def __call__(self, distribution: Any, step: int, rows: Tensor) -> Tensor:
        return self.draw(distribution, self.first + step, rows)


def _drawn_from(allowed: Tensor, coins: Tensor) -> Tensor:
    """(B,) one of the tokens that rows of ``allowed`` (B, V) allow, by coins (B,); 0 where there is none."""
    steps = allowed.double().cumsum(-1)
    return (steps > coins[:, None] * steps[:, -1:]).to(torch.uint8).argmax(-1)
