"""Where checkpoints and configurations look for ``Sampling``; it is at home in ``genrl.diffusion.sampling``."""

from genrl.diffusion.sampling import Sampling

__all__ = ["Sampling"]
