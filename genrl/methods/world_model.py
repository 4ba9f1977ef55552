"""An autoregressive world model: an ensemble of one-step dynamics, the baseline of policy-guided diffusion.

Sources: "Policy-Guided Diffusion" (Jackson et al. 2024), https://arxiv.org/abs/2404.06356, section 5.3, for the
comparison; MBPO (Janner et al. 2019), https://arxiv.org/abs/1906.08253, for model and training. What it makes by a
policy is ``Imagination``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genrl.data.batch import Transitions
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.randomness import generator
from genrl.data.samplers import TransitionSampler
from genrl.dynamics.drawn import Drawn
from genrl.dynamics.ensemble import GaussianEnsemble
from genrl.dynamics.protocol import Dynamics
from genrl.methods.learned_world import LearnedWorld, fields
from genrl.nets.ensemble_mlp import EnsembleMLP
from genrl.training.schedule import warmup_cosine
from genrl.training.spec import DataSpec
from genrl.training.weight_decay import decay_by_layer

BOUNDS_WEIGHT = 0.01
"""Weight of the width of the variance bounds in the loss (Chua et al. 2018, appendix A.1)."""


class BootstrapSampler:
    """Transitions for M members: item i is one transition for each, drawn with replacement once and for all.

    Every member has a data set of its own, of as many transitions (Chua et al. 2018, section 4).

    Args:
        transitions: what to draw from.
        members: M.
        seed: of the draw.
    """

    def __init__(self, transitions: TransitionSampler, members: int, seed: int) -> None:
        self.transitions, self.members = transitions, members
        total = len(transitions)
        self.table = torch.randint(total, (total, members), generator=generator(seed, "bootstrap"))

    def __len__(self) -> int:
        return len(self.transitions)

    def fetch(self, index: Tensor, generator: torch.Generator | None = None) -> Transitions:
        """The items at ``index`` (B,): every field is (B, M, ...)."""
        drawn = self.transitions.fetch(self.table[index.cpu()].flatten())
        return Transitions(
            **{name: field.unflatten(0, (len(index), self.members)) for name, field in vars(drawn).items()}
        )


class WorldModel(LearnedWorld):
    """p(s', r, done | s, a) by an ensemble of Gaussians, and real states to start from.

    It makes no data by itself, for that takes a policy: ``Imagination`` is the method made of both.

    Args:
        net: network from columns to columns for all members at once.
        members: networks in the ensemble.
        elites: how many of them predict, those with the lowest held-out error; without held-out data the first ones,
            which is warned of.
        starts: real states kept as beginnings of rollouts, drawn with replacement.
        lr: peak learning rate; linear warm-up over the first tenth, then cosine to zero.
        weight_decay: of AdamW, so decoupled from the gradient: every update multiplies by 1 - rate * decay. A number is
            that of all parameters; a sequence has one for the weights of each linear layer of ``net``, from the input
            to the head, and nothing else decays. Published: 2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4 (Zhou et al. 2023,
            https://arxiv.org/abs/2310.19308), there as a squared norm in the loss that Adam minimises, which is more.
        seed: of initial weights, of the members' data and of the states to start from.

    Attributes:
        ensemble: the dynamics, over ``columns``.
    """

    held_out: Tensor

    def __init__(
        self,
        net: Callable[[int, int, int], nn.Module] = EnsembleMLP,
        members: int = 7,
        elites: int = 5,
        starts: int = 4096,
        lr: float = 1e-3,
        weight_decay: float | Sequence[float] = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__(starts, seed)
        if not 1 <= elites <= members:
            raise ConfigurationError(f"{elites} elites cannot be chosen from {members} members; take 1 to {members}.")
        self.net, self.members, self.elites = net, members, elites
        self.lr, self.weight_decay = lr, weight_decay

    @property
    def learned(self) -> GaussianEnsemble:
        """The ensemble."""
        return self.ensemble

    def build(self, spec: DataSpec) -> None:
        """Columns of the data's spaces, the ensemble over them, and room for states to start from."""
        super().build(spec)
        state, action = self.columns.observation_codec.dim, self.columns.action_codec.dim
        self.ensemble = GaussianEnsemble(state, action, self.net, self.members, self.elites)
        self._decayed()  # while nothing is fitted yet, refuse decays that are not the network's
        self.register_buffer("held_out", torch.zeros(self.members), persistent=False)  # errors summed over batches

    def sampler(self, episodes: Episodes) -> BootstrapSampler:
        """A bootstrap of the transitions for each member, in the data's own units."""
        return BootstrapSampler(self.transitions(episodes), self.members, self.seed)

    def training_step(self, batch: Transitions, batch_index: int) -> Tensor:
        """Negative log-likelihood of what followed, averaged over members, each on its own transitions."""
        nll = self.ensemble.nll(*(field.transpose(0, 1) for field in fields(batch))).mean()
        self.log("train_loss", nll.detach(), prog_bar=True)
        return nll + BOUNDS_WEIGHT * self.ensemble.spread()

    def validation_step(self, batch: Transitions, batch_index: int) -> None:
        """The same on held-out transitions, equal ones for all members; the best members become the elites.

        They are chosen before anything looks at the weights, so that the weights that are kept as the best ones, and
        those in a checkpoint, come with elites of their own.
        """
        same = (field[:, 0].expand(self.members, *field[:, 0].shape) for field in fields(batch))
        errors = self.ensemble.nll(*same).mean(1)  # (M,)
        self.held_out = errors + (self.held_out if batch_index else 0.0)
        self.ensemble.choose_elites(self.held_out)
        self.log("val_loss", errors.mean(), prog_bar=True)

    def on_train_end(self) -> None:
        """Tell of elites that nothing has chosen."""
        if self.elites < self.members and not self.held_out.any():
            warnings.warn(
                f"Nothing was held out, so the {self.elites} elites are the first of {self.members} members, not the"
                " best: give a val_fraction above 0 and at least two episodes.",
                stacklevel=2,
            )

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay over the whole fit."""
        optimizer = torch.optim.AdamW(self._decayed(), self.lr, fused=True)
        return warmup_cosine(optimizer, self.planned_steps())

    def _decayed(self) -> list[dict[str, Any]]:
        """All parameters in groups of one weight decay."""
        if isinstance(self.weight_decay, Sequence):
            return decay_by_layer(self, self.ensemble.net, self.weight_decay)
        return [{"params": list(self.parameters()), "weight_decay": self.weight_decay}]

    def dynamics(self, disagreement: bool = True) -> Dynamics:
        """The ensemble; or, where nobody asks how far its members are apart, the same at the price of one of them."""
        return self.held(self.ensemble if disagreement else Drawn(self.ensemble))
