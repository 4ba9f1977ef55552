"""Where renewed synthetic data come from: each source gives a ``Renewal`` the method for the learner as it is.

A method may be given as an object or as the path of its checkpoint, which is read at the first renewal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from genrl.data.errors import CheckpointError
from genrl.learners.learner import Learner
from genrl.methods.method import Method
from genrl.training.checkpoint import load
from genrl.training.module import frozen


class Unguided:
    """A method as it was fitted, whatever the policy: fresh data at every renewal.

    Args:
        method: any fitted method, or its checkpoint.
    """

    def __init__(self, method: Method | str | Path) -> None:
        self.method = method

    def __call__(self, learner: Learner, generation: int) -> Method:
        """The method itself."""
        self.method = fitted(self.method, learner.device)
        return self.method


def fitted(method: Any, device: torch.device) -> Method:
    """``method``, read from its checkpoint where it is a path, on ``device`` and ready to synthesise.

    Raises:
        CheckpointError: there is no such checkpoint, or it holds no method.
    """
    loaded = load(method, device) if isinstance(method, str | Path) else frozen(method.to(device))
    if not isinstance(loaded, Method):
        raise CheckpointError(f"{method} holds a {type(loaded).__name__}, which acts and makes no data.")
    return loaded
