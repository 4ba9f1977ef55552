"""Clusters: known centres are found, and what makes them centres holds for any points."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genrl.learners.kmeans import kmeans, nearest


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(5))
def test_known_centres_are_found(seed):
    known = torch.tensor([[-0.9, -0.9], [-0.9, 0.9], [0.9, -0.9], [0.9, 0.9], [0.0, 0.0]])
    points = (known[:, None] + 0.05 * torch.randn(5, 200, 2, generator=stream(seed))).flatten(0, 1)
    found = kmeans(points, 5, stream(seed))
    order = nearest(known, found)
    assert sorted(order.tolist()) == [0, 1, 2, 3, 4]
    torch.testing.assert_close(found[order], points.view(5, 200, 2).mean(1), atol=1e-6, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 1000))
def test_every_centre_in_use_is_the_mean_of_its_points(count, points, seed):
    points = torch.randn(points, 2, generator=stream(seed))
    centres = kmeans(points, count, stream(seed), rounds=1000)
    groups = nearest(points, centres)
    distances = (points[:, None] - centres).square().sum(-1)
    torch.testing.assert_close(distances.gather(1, groups[:, None])[:, 0], distances.min(1).values)
    for group in groups.unique():
        torch.testing.assert_close(centres[group], points[groups == group].mean(0), atol=1e-5, rtol=1e-5)


def test_fewer_points_than_centres_are_all_centres():
    points = torch.tensor([[0.0], [1.0], [1.0], [5.0]])
    centres = kmeans(points, 8, stream())
    assert set(centres.flatten().tolist()) == {0.0, 1.0, 5.0}


def test_the_stream_alone_decides():
    points = torch.rand(300, 2, generator=stream(1))
    one, same, other = (kmeans(points, 20, stream(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
