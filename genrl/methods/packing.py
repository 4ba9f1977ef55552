"""Episodes as rows of numbers that a diffusion model can learn, and generated rows as episodes again.

Row t is [state, achieved goal, action, reward, done], each field normalised; the last row of an episode has a state
only. Ends are rare: standardised like the rest, one would be tens of standard deviations off, and most of what a model
learns from; done is -1 and 1 here by default. A terminal state is absorbing: windows that reach past it hold it over
and over, marked as done, so that what is modelled is a distribution over whole windows and an episode can end anywhere
in them. The desired goal is a label, not part of the physics: it is not modelled, and a generated episode is labelled
in hindsight with what it achieved at its end, or with the goal it was asked for. Source of the layout: policy-guided
diffusion (Jackson et al. 2024), https://arxiv.org/abs/2404.06356, section 5, with the final observation kept.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError, EmptyDatasetError
from genrl.data.normalizers import NEGLIGIBLE, Affine, MinMax, ZScore
from genrl.data.samplers import WindowSampler
from genrl.methods.columns import EpisodeColumns
from genrl.training.spec import DataSpec

OBSERVED, ACTED = -2, -1  # two columns behind the model's: does this row hold a state, and does it hold a transition


class Packing(EpisodeColumns):
    """Codecs and normalisers of one data set.

    Args:
        spec: of the data.
        squash: open bounded actions up by arctanh, as the paper does; columns are then far apart at the bounds.
        ends: class of the normaliser of done.

    Attributes:
        dim: D, columns that the model sees.
        state, achieved, action, reward, done: slices of these columns; ``achieved`` lists column indices.
        varies: (D,) columns that are not constant in the data; the others, 0 when normalised, are not learned.
    """

    varies: Tensor

    def __init__(self, spec: DataSpec, squash: bool = True, ends: Callable[[int], Affine] = MinMax) -> None:
        super().__init__(spec, squash)
        observed, acted = self.observation_codec.dim, self.action_codec.dim
        self.state = slice(0, self.state_codec.dim)
        self.action = slice(observed, observed + acted)
        self.reward, self.done = observed + acted, observed + acted + 1
        self.dim = observed + acted + 2
        self.normalizer, self.ends = ZScore(self.dim), ends
        self.register_buffer("varies", torch.ones(self.dim, dtype=torch.bool))  # columns that are not constant

    def fit(self, episodes: Episodes) -> None:
        """Fit the normaliser and find constant columns; actions, rewards and ends count where there is a transition."""
        raw = self._raw(episodes)
        self.normalizer.fit(raw[:, : self.dim])
        acted = self._acted(raw)
        self.varies.copy_(self._varying(raw))
        taken, end = ZScore(self.dim).fit(acted), self.ends(1).fit(acted[:, self.done :])
        for name in ("shift", "scale"):
            mine = getattr(self.normalizer, name)
            mine[self.action.start : self.done] = getattr(taken, name)[self.action.start : self.done]
            mine[self.done :] = getattr(end, name)

    def require_known(self, episodes: Episodes) -> None:
        """Refuse episodes in which a column varies that was constant in the data of the fit, or has another value.

        Raises:
            ConfigurationError: there is such a column.
        """
        raw, constant = self._raw(episodes), self.normalizer.shift
        new = (self._varying(raw) | self._unlike(raw, constant)) & ~self.varies
        fields = {"observation": slice(0, self.action.start), "action": self.action}
        fields |= {"reward": slice(self.reward, self.reward + 1), "termination": slice(self.done, self.done + 1)}
        for name, columns in fields.items():
            if new[columns].any():
                raise ConfigurationError(
                    f"The {name}s of these data vary where those of the data that were fitted before never did, or are"
                    " others, and a model of windows does not learn that afterwards: fit a new one to both data sets"
                    " together."
                )

    def _acted(self, raw: Tensor) -> Tensor:
        """(N, D) the rows that hold a transition."""
        return raw[raw[:, ACTED] > 0][:, : self.dim]

    def _varying(self, raw: Tensor) -> Tensor:
        """(D,) columns that are not constant; actions, rewards and ends count where there is a transition."""
        parts = raw[:, : self.action.start], self._acted(raw)[:, self.action.start :]
        return torch.cat([rows.amax(0) > rows.amin(0) for rows in parts])

    def _unlike(self, raw: Tensor, constant: Tensor) -> Tensor:
        """(D,) columns with values other than ``constant`` (D,), rounding aside."""
        seen, acted = ((rows[:, : self.dim] - constant).abs().amax(0) for rows in (raw, self._acted(raw)))
        apart = torch.cat((seen[: self.action.start], acted[self.action.start :]))
        return apart > NEGLIGIBLE * constant.abs()

    def pack(self, episodes: Episodes) -> Tensor:
        """(N + E, D + 2) normalised rows, and behind them the flags ``OBSERVED`` and ``ACTED``."""
        raw = self._raw(episodes)
        rows = self.normalizer.normalize(raw[:, : self.dim])
        acted = raw[:, ACTED:]
        rows[:, self.action.start :] *= acted  # nothing stands where nothing was done
        return torch.cat((rows, raw[:, self.dim :]), dim=1)

    def windows(self, episodes: Episodes, rows: int, extra: Tensor | None = None) -> WindowSampler:
        """Windows of ``rows`` rows; those that reach past a terminal state are filled up with it, see the module.

        Args:
            extra: (N + E, K) further columns that travel with the rows.

        Raises:
            EmptyDatasetError: no episode is long enough.
        """
        packed = self.pack(episodes)
        if extra is not None:
            packed = torch.cat((packed[:, : self.dim], extra.to(packed), packed[:, self.dim :]), dim=1)
        ended = torch.zeros(len(episodes), dtype=torch.bool)
        ended[episodes.episode_of_transition[episodes.terminations]] = True
        terminal = (episodes.observation_starts + episodes.lengths)[ended]
        packed[terminal, self.done] = self.normalizer.normalize(packed.new_ones(self.dim))[self.done]
        packed[terminal, ACTED] = 1.0
        lengths = episodes.lengths + 1
        longer = lengths + torch.where(ended, rows - 2, 0)  # every window still starts before the end
        if not (longer >= rows).any():
            raise EmptyDatasetError(
                f"No episode fills a window of {rows - 1} transitions: none terminates, and the longest has"
                f" {int(episodes.lengths.max())}; choose a horizon of at most that."
            )
        return WindowSampler(packed[_stretched(episodes.observation_starts, lengths, longer)], longer, rows, pad=False)

    def unpack(self, rows: Tensor, goals: Tensor | None = None) -> Episodes:
        """(B, R, D) generated rows to B episodes of at most R - 1 transitions.

        An episode ends at its first done, as terminated; one without is truncated at its last row. ``goals`` (B, G) are
        the goals asked for; without them an episode is labelled with what it achieved.
        """
        count = rows.shape[1]
        raw = self.normalizer.denormalize(rows).float().cpu()
        done = raw[:, :-1, self.done] > 0.5  # (B, R - 1)
        ended = done.any(1)
        lengths = torch.where(ended, done.int().argmax(1) + 1, count - 1)
        states, actions = raw[..., : self.action.start], raw[:, :-1, self.action]
        return self.episodes(states, actions, raw[:, :-1, self.reward], lengths, ended, goals)

    @property
    def seen(self) -> int:
        """S + G, the columns of ``states``."""
        return self.action.start + (len(self.achieved) if self.layout.desired else 0)

    def states(self, rows: Tensor) -> Tensor:
        """(..., R, S + G) states of normalised rows (..., R, D), in the data's own units; differentiable.

        They are as learners take them: where observations hold goals, the columns of the state are followed by the
        goal, which is what the window achieves at its end.
        """
        states = self.normalizer.denormalize(rows)[..., : self.action.start]
        if not self.layout.desired:
            return states
        goal = states[..., -1:, self.achieved].expand(*states.shape[:-1], len(self.achieved))
        return torch.cat((states, goal), dim=-1)

    def actions(self, columns: Tensor) -> Tensor:
        """(..., A) normalised columns of actions to the data's own units, (..., A); differentiable."""
        scale, shift = self.normalizer.scale[self.action], self.normalizer.shift[self.action]
        return self.action_codec.native(columns * scale + shift)

    def _raw(self, episodes: Episodes) -> Tensor:
        """(N + E, D + 2) encoded rows in the data's own units, with the flags behind them."""
        states = self.observation_codec.encode(episodes.observations)
        rows = states.new_zeros(len(states), self.dim + 2)
        rows[:, : self.action.start] = states
        rows[:, OBSERVED] = 1.0
        at = episodes.observation_rows.to(rows.device)
        rows[at, self.action] = self.action_codec.encode(episodes.actions)
        rows[at, self.reward] = episodes.rewards.to(rows)
        rows[at, self.done] = episodes.terminations.to(rows)
        rows[at, ACTED] = 1.0
        return rows


def _stretched(starts: Tensor, lengths: Tensor, longer: Tensor) -> Tensor:
    """Rows start .. start + length - 1 of each episode, the last one repeated until there are ``longer`` of them."""
    first = torch.repeat_interleave(starts, longer)
    offset = torch.arange(int(longer.sum())) - torch.repeat_interleave(longer.cumsum(0) - longer, longer)
    return first + torch.minimum(offset, torch.repeat_interleave(lengths - 1, longer))
