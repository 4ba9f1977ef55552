"""Weight decay that differs from layer to layer, as the parameter groups of an optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from genrl.data.errors import ConfigurationError


def layer_weights(net: nn.Module) -> list[nn.Parameter]:
    """Weight matrices of the linear layers of ``net``, in the order in which the layers were added to it."""
    weights = [getattr(layer, "weight", None) for layer in net.modules()]
    return [weight for weight in weights if isinstance(weight, nn.Parameter) and weight.ndim > 1]


def decay_by_layer(module: nn.Module, net: nn.Module, decays: Sequence[float]) -> list[dict[str, Any]]:
    """Groups of all parameters of ``module``: each weight matrix of ``net`` with its own decay, the others with none.

    Args:
        module: what is fitted.
        net: the part of it whose layers are told apart.
        decays: one number for each linear layer, from the input on.

    Raises:
        ConfigurationError: ``net`` has another number of linear layers.
    """
    weights = layer_weights(net)
    if len(weights) != len(decays):
        raise ConfigurationError(
            f"weight_decay {list(decays)} has {len(decays)} entries, but the network has {len(weights)} linear layers,"
            " the head included: give one number for each, or a single one for all parameters."
        )
    layers = {id(weight) for weight in weights}
    others = [parameter for parameter in module.parameters() if id(parameter) not in layers]
    groups = [{"params": [weight], "weight_decay": decay} for weight, decay in zip(weights, decays, strict=True)]
    return [*groups, {"params": others, "weight_decay": 0.0}]
