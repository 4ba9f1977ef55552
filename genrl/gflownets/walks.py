"""Walks over tokens as objects of a GFlowNet: plans of which every step was taken somewhere in the data.

A walk grows at its end, by a token that follows its last one in the data, as sequences grow in "Trajectory Balance"
(Malkin et al. 2022), https://arxiv.org/abs/2201.13259. So every state has one parent, and what cannot follow need not
be learned. A walk does not come back to a token: a policy that is fair to all objects would else spend itself on
detours, of which there are more the longer they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from gfn.env import DiscreteEnv
from gfn.states import DiscreteStates
from torch import Tensor
from torch.nn.functional import one_hot

from genrl.data.errors import ConfigurationError

NOTHING = -1
"""Stands for the tokens that are not there yet."""


class WalkStates(DiscreteStates):
    """(..., H) tokens of walks, filled up with -1."""

    follows: ClassVar[Tensor]
    begins: ClassVar[Tensor]
    revisit: ClassVar[bool]

    @property
    def length(self) -> Tensor:
        """(...) tokens of each walk."""
        return (self.tensor != NOTHING).sum(-1)

    def last(self) -> Tensor:
        """(...) last token of each walk; any one where there is none, and in the sink."""
        return last_of(self.tensor).clamp(max=self.n_actions - 2)

    def _compute_forward_masks(self) -> Tensor:
        """(..., V + 1) what may be added, and at last whether the walk may end: with one token or more."""
        length, room = self.length[..., None], self.tensor.shape[-1]
        going = self.follows.to(self.device)[self.last()]  # (..., V)
        if not self.revisit:
            going = going & ~self._visited()
        tokens = torch.where(length == 0, self.begins.to(self.device), going & (length < room))
        masks = torch.cat((tokens, length > 0), dim=-1)
        masks[self.is_sink_state] = True
        return masks

    def _compute_backward_masks(self) -> Tensor:
        """(..., V) the last token alone can be taken back."""
        masks = torch.zeros(*self.batch_shape, self.n_actions - 1, dtype=torch.bool, device=self.device)
        walks = (self.length > 0) & ~self.is_sink_state
        return masks.scatter_(-1, self.last()[..., None], walks[..., None])

    def _visited(self) -> Tensor:
        """(..., V) the tokens of each walk."""
        counts = torch.zeros(*self.batch_shape, self.n_actions, dtype=torch.bool, device=self.device)
        return counts.scatter_(-1, self.tensor % self.n_actions, True)[..., :-1]  # nothing, -1, falls to the exit


class Walks(DiscreteEnv):
    """Walks of at most H tokens among V, each token a successor of the one before.

    Args:
        successors: for each of the V tokens, those that may follow it.
        starts: tokens that walks may begin with; all by default.
        longest: H.
        revisit: whether a walk may come back to a token.

    Raises:
        ConfigurationError: a token that is none of the V, or no room for one.
    """

    def __init__(
        self,
        successors: Sequence[Sequence[int]],
        starts: Sequence[int] | None = None,
        longest: int = 16,
        revisit: bool = False,
    ) -> None:
        count = len(successors)
        begins = range(count) if starts is None else starts
        named = {*begins, *(token for following in successors for token in following)}
        if longest < 1 or not count or not begins or not named <= set(range(count)):
            raise ConfigurationError(
                f"A walk has at least one of the {count} tokens 0 to {count - 1}, and these alone follow one another;"
                f" not longest {longest}, starts {list(begins)} and successors up to {max(named, default=None)}."
            )
        self.follows = torch.zeros(count, count, dtype=torch.bool)
        for token, following in enumerate(successors):
            self.follows[token, list(following)] = True
        self.begins = torch.zeros(count, dtype=torch.bool)
        self.begins[list(begins)] = True
        self.longest, self.revisit = longest, revisit
        super().__init__(
            n_actions=count + 1,
            s0=torch.full((longest,), NOTHING),
            state_shape=(longest,),
            dummy_action=torch.tensor([-1]),
            exit_action=torch.tensor([count]),
            sf=torch.full((longest,), count),
        )

    @property
    def tokens(self) -> int:
        """V."""
        return self.n_actions - 1

    def make_states_class(self) -> type[WalkStates]:
        """States that know which token may follow which."""
        names = ("state_shape", "s0", "sf", "n_actions", "follows", "begins", "revisit")
        return type("StatesOfWalks", (WalkStates,), {name: getattr(self, name) for name in names})

    def step(self, states: Any, actions: Any) -> Any:
        """Add a token to each walk."""
        place = states.length[:, None]
        return self.states_from_tensor(states.tensor.scatter(-1, place, actions.tensor))

    def backward_step(self, states: Any, actions: Any) -> Any:
        """Take the last token of each walk back."""
        place = states.length[:, None] - 1
        return self.states_from_tensor(states.tensor.scatter(-1, place, NOTHING))

    def reward(self, final_states: Any) -> Tensor:
        """(N,) ones: no walk is better than another."""
        return torch.ones(final_states.batch_shape, device=self.device)

    def outcome(self, objects: Tensor) -> Tensor:
        """(N, 2) first and last token of walks (N, H)."""
        return torch.stack((objects[:, 0], last_of(objects)), dim=-1)

    @property
    def outcome_shape(self) -> tuple[int, int, int]:
        """Numbers in an outcome, the least and the largest of them."""
        return 2, 0, self.tokens - 1

    @property
    def columns(self) -> int:
        """Numbers that ``encode`` tells a walk in."""
        return 2 * self.tokens + self.longest + 1

    def encode(self, states: Tensor) -> Tensor:
        """(..., H) walks as (..., 2 V + H + 1) columns: the last token, the tokens visited, and how many there are.

        How a walk may go on depends on no more than that, so that walks by different ways to one place are much alike.
        """
        there = (states >= 0) & (states < self.tokens)  # the sink holds none
        length = there.sum(-1)
        visited = torch.zeros(*states.shape[:-1], self.tokens + 1, device=states.device)
        visited = visited.scatter_(-1, torch.where(there, states, self.tokens), 1.0)[..., :-1]
        last = one_hot(torch.where(length > 0, last_of(states), self.tokens), self.tokens + 1)[..., :-1]
        return torch.cat((last.float(), visited, one_hot(length, self.longest + 1).float()), dim=-1)

    def distances(self) -> Tensor:
        """(V, V) steps on the shortest walk from one token to another, -1 where none is short enough."""
        steps = torch.where(torch.eye(self.tokens, dtype=torch.bool), 0, -1)
        reached = torch.eye(self.tokens, dtype=torch.float64)
        for step in range(1, self.longest):
            reached = reached @ self.follows.double() + reached > 0
            steps = torch.where(reached & (steps < 0), step, steps)
            reached = reached.double()
        return steps


def last_of(walks: Tensor) -> Tensor:
    """(...) last token of walks (..., H), 0 of one without any."""
    place = (walks != NOTHING).sum(-1, keepdim=True) - 1
    return walks.gather(-1, place.clamp(min=0))[..., 0].clamp(min=0)
