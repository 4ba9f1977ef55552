"""Paths through mazes by scipy's own search."""

import numpy as np
from scipy.sparse.csgraph import shortest_path


def lengths_of_paths(free):
    """(N, N) steps of a shortest path between any two of N free cells (row, column)."""
    adjacent = [[abs(r - s) + abs(c - d) == 1 for s, d in free] for r, c in free]
    return shortest_path(np.array(adjacent, float), unweighted=True)
