"""Mixtures: whole episodes, the shares asked for, and where each came from."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch

from genrl.data.episodes import DatasetCard, concatenate
from genrl.data.errors import ConfigurationError, DatasetExistsError, DatasetMissingError
from genrl.data.store import load, save
from genrl.data.verify import verify
from genrl.synthesis.mix import mix
from genrl.training.spec import fingerprint
from tests.methods.toy_methods import linear, walks

ONE, OTHER, MIXED = "toy/one-v0", "toy/other-v0", "toy/mixed-v0"


@pytest.fixture
def root(tmp_path):
    """100 transitions in episodes of 5 with seeds, 60 in episodes of 2 without."""
    one = linear(20, 5)
    one = replace(one, seeds=torch.arange(20), infos={"success": torch.ones(100, dtype=torch.bool)})
    one = replace(one, infos=one.infos | {"mine": torch.zeros(100)}, card=DatasetCard(author=("Ann",)))
    other = replace(linear(30, 2, seed=1), infos={"success": torch.zeros(60, dtype=torch.bool)})
    save(one, ONE, root=tmp_path)
    save(other, OTHER, root=tmp_path)
    return tmp_path


def parts(root, **settings):
    """The mixture, and the lengths of its episodes by source (5 and 2)."""
    mix([ONE, OTHER], MIXED, root=root, **settings)
    assert verify(MIXED, root=root).ok
    mixed = load(MIXED, root=root)
    return mixed, int((mixed.lengths == 5).sum()) * 5, int((mixed.lengths == 2).sum()) * 2


def test_everything_by_default(root):
    mixed, first, second = parts(root)
    assert (first, second) == (100, 60)
    assert fingerprint(mixed) == fingerprint(concatenate([load(ONE, root=root), load(OTHER, root=root)]))


@pytest.mark.parametrize(
    ("fractions", "transitions", "expected"),
    [
        ([1, 1], None, (60, 60)),
        ([3, 1], 80, (60, 20)),
        ([0, 1], 20, (0, 20)),
        (None, 80, (50, 30)),
        ([1, 1], 41, (20, 20)),
    ],
)
def test_shares_are_met_in_whole_episodes(root, fractions, transitions, expected):
    mixed, first, second = parts(root, fractions=fractions, transitions=transitions)
    assert (first, second) == expected
    sources = {
        tuple(row.tolist()) for row in concatenate([load(ONE, root=root), load(OTHER, root=root)]).observations[""]
    }
    rows = [tuple(row.tolist()) for row in mixed.observations[""]]
    assert set(rows) <= sources
    assert len(set(rows)) == len(rows)  # no episode twice


def test_seeds_and_shared_infos_go_along(root):
    mixed, _, _ = parts(root, fractions=[1, 1], transitions=40)
    assert set(mixed.infos) == {"success"}
    assert (mixed.infos["success"] == (mixed.lengths == 5)[mixed.episode_of_transition]).all()
    assert ((mixed.seeds >= 0) == (mixed.lengths == 5)).all()
    source = load(ONE, root=root)
    for place in (mixed.lengths == 5).nonzero().flatten().tolist():
        original = source[int(mixed.seeds[place])]
        assert torch.equal(mixed[place].observations[""], original.observations[""])


def test_the_draw_is_decided_by_the_seed(root, tmp_path):
    got = []
    for seed in (0, 0, 1):
        mixed, _, _ = parts(root, transitions=40, seed=seed, overwrite=True)
        got.append(fingerprint(mixed))
    assert got[0] == got[1] != got[2]


def test_it_says_where_it_comes_from(root):
    mixed, _, _ = parts(root, fractions=[3, 1], transitions=80)
    provenance = json.loads((root / MIXED / "genrl.json").read_text())["provenance"]
    for origin, source, share in zip(provenance["mixed_from"], (ONE, OTHER), (60, 20), strict=True):
        manifest = (root / source / "genrl.json").read_bytes()
        assert origin["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
        assert origin["sha256"] == fingerprint(load(source, root=root))
        assert (origin["dataset_id"], origin["transitions"]) == (source, share)
    assert mixed.card.author == ("Ann",)
    assert mixed.card.description == f"A mixture: 60 transitions of {ONE}, 20 transitions of {OTHER}."


def test_what_cannot_be_mixed_is_refused(root):
    for settings, reason in (
        ({"fractions": [1.0]}, "one non-negative number for each of toy/one-v0, toy/other-v0"),
        ({"fractions": [1.0, -1.0]}, "non-negative"),
        ({"fractions": [0, 0]}, "not all zero"),
        ({"transitions": 161}, "at these fractions there are 1 to 160"),
        ({"fractions": [1, 3], "transitions": 81}, "at these fractions there are 1 to 80"),
        ({"transitions": 0}, "0 transitions cannot be drawn"),
        ({"transitions": 1}, "less than half an episode"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            mix([ONE, OTHER], MIXED, root=root, **settings)
    with pytest.raises(ConfigurationError, match="name at least one"):
        mix([], MIXED, root=root)
    with pytest.raises(DatasetMissingError, match="toy/none-v0"):
        mix([ONE, "toy/none-v0"], MIXED, root=root)
    with pytest.raises(ConfigurationError, match=f"name {ONE} once, with a larger fraction"):
        mix([ONE, OTHER, ONE], MIXED, root=root)
    save(walks(), "toy/walks-v0", root=root)
    with pytest.raises(ConfigurationError, match=r"toy/walks-v0 has the observation space .* toy/one-v0 has"):
        mix([ONE, "toy/walks-v0"], MIXED, root=root)
    with pytest.raises(DatasetExistsError, match="overwrite=True"):
        mix([ONE, "toy/none-v0"], OTHER, root=root)


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -1.0])
def test_fractions_are_finite_and_not_negative(root, share):
    with pytest.raises(ConfigurationError, match="must hold one non-negative number for each"):
        mix([ONE, OTHER], MIXED, fractions=[share, 1.0], root=root)


def test_a_source_that_gives_nothing_is_told(root):
    with pytest.warns(UserWarning, match=f"Nothing of {OTHER} is in the mixture: its share of 1 transitions"):
        mix([ONE, OTHER], MIXED, fractions=[40, 0.9], transitions=41, root=root)
