"""Getting uint8 leaves through Minari's writer and reader bit by bit.

Minari writes nearly every uint8 array of two or more dimensions as JPEG, images or not, which is off by up to 243 of
255. Two ways lead past that, both understood by Minari's own reader:

- rows handed over as memory views are stored as they are, for leaves that the reader takes as they are;
- leaves that the reader decodes as images are stored as PNG, which it decodes just as well.
"""

import io
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
from minari.dataset.minari_storage import is_image_space
from PIL import Image

from genrl.data.errors import UnsupportedSpaceError
from genrl.data.spaces import leaf_spaces


def require_storable(space: gym.Space, dtype: np.dtype, what: str) -> None:
    """Refuse the image leaves that have no lossless form in Minari's files.

    Raises:
        UnsupportedSpaceError: images with one or with more than four channels in the last axis, or not of dtype uint8.
    """
    if not is_image_space(space):
        return
    if dtype != np.uint8:
        raise UnsupportedSpaceError(f"{what} has dtype {dtype} and its space has uint8 images; convert it to uint8.")
    if len(space.shape or ()) == 3 and (space.shape or ())[2] not in (2, 3, 4):
        raise UnsupportedSpaceError(
            f"{what} has images of shape {space.shape}, which Minari cannot store without loss; supported are (H, W) "
            "and 2 to 4 channels last. Drop a single channel's axis, or put channels first."
        )


def storable(rows: np.ndarray, space: gym.Space | None = None) -> Any:
    """``rows`` (T, *shape) in the form in which Minari stores them without loss; infos have no space."""
    if rows.dtype != np.uint8 or rows.ndim < 2:
        return rows
    if space is not None and is_image_space(space):
        return _png(rows)
    return [memoryview(row) for row in rows]


def _png(images: np.ndarray) -> list[np.ndarray]:
    """Each image as PNG, padded to the longest: decoders stop at the end mark."""
    encoded = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG", compress_level=1)
        encoded.append(np.frombuffer(buffer.getvalue(), np.uint8))
    longest = max(map(len, encoded))
    return [np.pad(code, (0, longest - len(code))) for code in encoded]


def lossy_images(file: Path, space: gym.Space, group: str) -> list[str]:
    """The image leaves of ``group`` ("observations" or "actions") that an HDF5 file of Minari's holds as JPEG."""
    images = [path for path, leaf in leaf_spaces(space).items() if is_image_space(leaf)]
    if not images:
        return []
    with h5py.File(file, "r") as data:
        return [path for path in images if _begins_as_jpeg(data[f"episode_0/{group}{_hdf5_path(space, path)}"][0])]


def _begins_as_jpeg(code: np.ndarray) -> bool:
    return bytes(code[:2]) == b"\xff\xd8"


def _hdf5_path(space: gym.Space, path: str) -> str:
    """Minari names positions of a Tuple "_index_N"."""
    names = ""
    for part in path.split("/") if path else []:
        if isinstance(space, gym.spaces.Tuple):
            names, space = f"{names}/_index_{part}", space.spaces[int(part)]
        elif isinstance(space, gym.spaces.Dict):
            names, space = f"{names}/{part}", space.spaces[part]
    return names
