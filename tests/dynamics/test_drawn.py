"""One member for each row leads where the whole ensemble leads."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genrl.dynamics.drawn import Drawn, ranks
from tests.dynamics.test_ensemble import M, made, transitions


@pytest.mark.parametrize("rows", [1, 3, 64])
@pytest.mark.parametrize("ends", [False, True])
def test_it_leads_where_the_ensemble_leads(rows, ends):
    ensemble, (states, actions, *_) = made(ends=ends), transitions(rows=rows, seed=1)
    ensemble.choose_elites(torch.tensor([3.0, 0, 9, 1, 8, 2, 4]))
    noise = torch.randn(rows, ensemble.noise_dim, generator=torch.Generator().manual_seed(2))
    whole, drawn = ensemble.step(states, actions, noise), Drawn(ensemble).step(states, actions, noise)
    torch.testing.assert_close(drawn.next_state, whole.next_state, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(drawn.reward, whole.reward, rtol=1e-5, atol=1e-5)
    assert torch.equal(drawn.terminated, whole.terminated)
    assert torch.equal(drawn.info["member"], whole.info["member"])
    assert set(drawn.info) == {"member"}


def test_each_member_computes_its_own_rows_alone():
    ensemble, (states, actions, *_) = made(), transitions(rows=500)
    asked = []
    ensemble.net.register_forward_hook(lambda net, given, out: asked.append(out.shape[:2]))
    noise = torch.randn(500, ensemble.noise_dim, generator=torch.Generator().manual_seed(0))
    Drawn(ensemble).step(states, actions, noise)
    ((elites, most),) = asked
    assert elites == 5
    assert 100 <= most < 150


@given(st.lists(st.integers(0, M - 1), min_size=1, max_size=40))
def test_ranks_count_within_each_group(groups):
    seen, expected = Counter(), []
    for group in groups:
        expected.append(seen[group])
        seen[group] += 1
    rows = torch.tensor(groups)
    assert ranks(rows, rows.bincount(minlength=M)).tolist() == expected
