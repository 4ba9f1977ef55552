"""How like its source a synthetic data set is: marginals, correlations, returns and lengths.

Distances are Wasserstein-1, the mean distance that mass must move: a shift by d gives d. Divided by the real standard
deviation they read as "so many real standard deviations off". Copying is another question, see ``copying``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import wasserstein_distance

from genrl.data.columns import comparable
from genrl.data.episodes import Episodes

MAX_ROWS = 100_000
ROUNDING = 1e-9
"""Spread relative to the largest magnitude that is but rounding: a mean of equal numbers may not be their value."""


@dataclass(frozen=True)
class Fidelity:
    """A synthetic data set against a real one with the same D columns (see ``columns.Columns``).

    Attributes:
        names: of the D columns.
        marginals: (D,) Wasserstein-1 distance of each column, in real standard deviations (1 where that is 0).
        correlation_real, correlation_synthetic: (D, D) Pearson, 0 where a column is constant.
        returns: Wasserstein-1 distance of the undiscounted returns, in real standard deviations.
        lengths: Wasserstein-1 distance of the episode lengths, in steps.
    """

    names: list[str]
    marginals: np.ndarray
    correlation_real: np.ndarray
    correlation_synthetic: np.ndarray
    returns: float
    lengths: float

    @property
    def marginal(self) -> float:
        """Mean over the columns of their Wasserstein-1 distances, in real standard deviations."""
        return float(self.marginals.mean())

    @property
    def correlation(self) -> float:
        """Mean absolute difference of the correlations of two different columns, 0 to 2."""
        off_diagonal = ~np.eye(len(self.names), dtype=bool)
        return float(np.abs(self.correlation_real - self.correlation_synthetic)[off_diagonal].mean())

    def rows(self) -> Iterator[tuple[str, str]]:
        """What to show of it: (quantity with unit, value)."""
        worst = int(self.marginals.argmax())
        yield "marginals, mean W1 in real std", f"{self.marginal:.3f}"
        yield f"marginals, worst ({self.names[worst]})", f"{self.marginals[worst]:.3f}"
        yield "correlations, mean absolute difference", f"{self.correlation:.3f}"
        yield "returns, W1 in real std", f"{self.returns:.3f}"
        yield "lengths, W1 in steps", f"{self.lengths:.2f}"


def fidelity(real: Episodes, synthetic: Episodes, seed: int = 0) -> Fidelity:
    """Compare two data sets; of more than 100,000 transitions, so many are drawn with ``seed``.

    Raises:
        AlignmentError: the two have different spaces.
    """
    first, second = comparable(real, synthetic)
    one, two = (columns.drawn(MAX_ROWS, seed).double().numpy() for columns in (first, second))
    return Fidelity(
        names=first.names,
        marginals=np.array([scaled_wasserstein(one[:, d], two[:, d]) for d in range(one.shape[1])]),
        correlation_real=correlations(one),
        correlation_synthetic=correlations(two),
        returns=scaled_wasserstein(real.returns.numpy(), synthetic.returns.numpy()),
        lengths=float(wasserstein_distance(real.lengths.numpy(), synthetic.lengths.numpy())),
    )


def scaled_wasserstein(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Wasserstein-1 distance of two samples (n,) and (m,) over the real one's ``spread``."""
    return float(wasserstein_distance(real, synthetic) / spread(real))


def spread(rows: np.ndarray) -> np.ndarray:
    """(...) standard deviation over the first axis of ``rows`` (N, ...); 1 where they are all alike."""
    std = rows.std(0)
    return np.where(std > ROUNDING * np.abs(rows).max(0), std, 1.0)


def correlations(rows: np.ndarray) -> np.ndarray:
    """(D, D) Pearson correlations of the columns of ``rows`` (N, D); 0 with a constant column, 1 on the diagonal."""
    centred = rows - rows.mean(0)
    norms = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(norms > ROUNDING * np.linalg.norm(rows, axis=0), norms, np.inf)
    result = unit.T @ unit
    np.fill_diagonal(result, 1.0)
    return result


def total_variation(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Share of the mass that must change category to turn one sample of one-hot rows (n, K) into the other (m, K)."""
    return float(np.abs(real.mean(0) - synthetic.mean(0)).sum() / 2)
