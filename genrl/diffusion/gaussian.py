"""Preconditioning by the data's own covariance: the network learns only what a Gaussian does not already explain.

EDM preconditioning (Karras et al. 2022, https://arxiv.org/abs/2206.00364, appendix B.6) is optimal for data of one
standard deviation sigma_data in every direction. Windows of a trajectory are far from that: they are smooth and obey
dynamics, so most directions have almost no variance. Here the same formulas are applied in the eigenbasis of the
windows' covariance, each direction with its own variance lambda_i. A network that outputs nothing is then the exact
denoiser of the Gaussian with the data's mean and covariance, and what the data never do is denoised away exactly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genrl.diffusion.precision import in_full


class GaussianResidual(nn.Module):
    """A network for ``EDMPrediction(1)`` on the ``EDM`` path whose output is relative to the Gaussian denoiser.

    Before ``fit`` the Gaussian is standard normal and the network is unchanged.

    Args:
        net: network over (B, R, D) windows.
        shape: (R, D).
    """

    mean: Tensor
    basis: Tensor
    variance: Tensor

    def __init__(self, net: nn.Module, shape: tuple[int, int]) -> None:
        super().__init__()
        size = shape[0] * shape[1]
        self.net = net
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("basis", torch.eye(size))  # columns are directions
        self.register_buffer("variance", torch.ones(size))

    def fit(self, windows: Tensor, negligible: float = 1e-7) -> None:
        """Mean and covariance of (N, R, D) windows; variances below ``negligible`` x the largest count as none."""
        flat = windows.flatten(1).double()
        mean = flat.mean(0)
        covariance = (flat - mean).T @ (flat - mean) / len(flat)
        variance, basis = torch.linalg.eigh(covariance)
        self.mean.copy_(mean)
        self.basis.copy_(basis)
        self.variance.copy_(torch.where(variance > negligible * variance.max(), variance, 0.0))

    def forward(self, x: Tensor, noise: Tensor, condition: Any = None) -> Tensor:
        """(B, R, D) inputs scaled by c_in at (B,) noise levels ln(sigma) / 4 to (B, R, D)."""
        outputs = self.net(x, noise, condition).to(x.dtype)
        with in_full(x.device):  # windows differ by less than half precision holds
            return self._around(outputs, x, noise)

    def _around(self, outputs: Tensor, x: Tensor, noise: Tensor) -> Tensor:
        """The Gaussian denoiser with the network's outputs (B, R, D) in the eigenbasis, as ``forward`` gives it."""
        sigma = (4 * noise).exp()[:, None]  # (B, 1)
        scale = (1 + sigma**2).sqrt()  # 1 / c_in
        total = self.variance + sigma**2
        noisy = x.flatten(1) * scale  # (B, R D)
        along = (noisy - self.mean) @ self.basis  # coordinates in the eigenbasis
        inner = outputs.flatten(1) @ self.basis
        denoised = self.mean + (along * (self.variance / total) + inner * (sigma * (self.variance / total).sqrt())) @ (
            self.basis.T
        )
        return ((denoised - noisy / scale**2) * (scale / sigma)).reshape(x.shape)  # (D - c_skip x) / c_out
