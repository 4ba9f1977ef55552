"""What a long synthesis will cost, told after its first block."""

from genrl.data.episodes import Episodes
from genrl.data.room import size


def forecast(block: Episodes, blocks: int, seconds: float) -> str:
    """One sentence: time left and size of the data set, from the first of ``blocks`` equal blocks."""
    minutes, megabytes = seconds * (blocks - 1) / 60, size(block) * blocks / 1e6
    return (
        f"{blocks} blocks of {block.num_transitions} transitions: about {minutes:.1f} more minutes,"
        f" {megabytes:.1f} MB on disk, {2 * size(block) / 1e6:.1f} MB in memory at once."
    )
