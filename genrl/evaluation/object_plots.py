"""Pictures of what is built step by step: how likely every cell of a square grid is."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from genrl.data.errors import AlignmentError
from genrl.evaluation.style import INK, REAL, Picture, grid, label

SHADES = LinearSegmentedColormap.from_list("shades", ["white", REAL])


def chances(
    distributions: Mapping[str, Tensor],
    objects: Tensor,
    columns: int = 4,
    marked: Mapping[str, tuple[int, int]] | None = None,
) -> Picture:
    """A panel for each distribution over the cells of a grid, darker where an object is likelier.

    Args:
        distributions: title -> (X,) probabilities, or anything in proportion to them.
        objects: (X, 2) the cells that these are of.
        columns: panels in a row, at most.
        marked: title -> a cell to be framed, such as the one that was asked for.

    Raises:
        AlignmentError: the objects are not cells of a plane, or there is not one number for each.
    """
    if objects.ndim != 2 or objects.shape[1] != 2:
        raise AlignmentError(f"A picture of cells takes objects (X, 2), not {tuple(objects.shape)}.")
    picture, panels = grid(len(distributions), columns, 2.1, 2.3)
    for (title, values), axes in zip(distributions.items(), panels, strict=True):
        if values.shape != objects.shape[:1]:
            raise AlignmentError(f"{title} has {tuple(values.shape)} numbers for {len(objects)} objects.")
        shown = torch.zeros(tuple((objects.max(0).values + 1).tolist()), dtype=torch.float64)
        shown[objects[:, 0], objects[:, 1]] = values.detach().double() / values.detach().double().sum()
        axes.imshow(shown.T.numpy(), origin="lower", cmap=SHADES, vmin=0, vmax=float(shown.max()))
        axes.set(xticks=[], yticks=[])
        label(axes, title=title)
        if marked and title in marked:
            x, y = marked[title]
            axes.plot(
                [x - 0.5, x + 0.5, x + 0.5, x - 0.5, x - 0.5], [y - 0.5, y - 0.5, y + 0.5, y + 0.5, y - 0.5], color=INK
            )
    return picture
