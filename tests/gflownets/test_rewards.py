"""Rewards against torchgfn's own, against the files that they come from, and what they refuse."""

import math

import numpy as np
import pytest
import torch
from gfn.gym import BitSequence, HyperGrid

from genrl.data.construction import Game
from genrl.data.env_specs import recorded_entries
from genrl.data.errors import ConfigurationError, OracleError
from genrl.gflownets.rewarded import rewarded
from genrl.gflownets.rewards import BitModes, Constant, GridModes, RNABinding, Table
from genrl.training.spec import DataSpec
from tests.gflownets.games import built

WORDS = torch.cartesian_prod(*[torch.arange(4)] * 4)  # all 256 of four letters
VALUES = np.random.default_rng(0).random(256)


@pytest.fixture(scope="module", params=["npz", "csv", "named.csv"])
def path(request, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("tables") / f"table.{request.param}"
    shuffled = np.random.default_rng(1).permutation(256)
    if request.param == "npz":
        np.savez(file, x=WORDS.numpy()[shuffled].astype(np.uint8), y=VALUES[shuffled].astype(np.float32))
    else:
        rows = np.column_stack((WORDS.numpy(), VALUES))[shuffled]
        names = "a,b,c,d,value" if "named" in request.param else ""
        np.savetxt(file, rows, delimiter=",", header=names, comments="")
        if not names:
            file.write_text(file.read_text().lstrip("\n"))
    return str(file)


def test_a_table_gives_what_it_holds(path):
    torch.testing.assert_close(Table(path)(WORDS), torch.from_numpy(VALUES).clamp_min(1e-3), rtol=1e-6, atol=0)
    cubed = Table(path, power=3.0, floor=0.2)(WORDS)
    torch.testing.assert_close(cubed, torch.from_numpy(VALUES**3).clamp_min(0.2), rtol=1e-6, atol=0)


def test_a_table_in_another_order_and_with_other_letters(path):
    plain = dict(zip(map(tuple, WORDS.tolist()), Table(path)(WORDS).tolist(), strict=True))
    turned = Table(path, positions=[2, 0, 1, 3], letters=[3, 2, 1, 0])(WORDS)
    expected = [plain[3 - c, 3 - a, 3 - b, 3 - d] for a, b, c, d in WORDS.tolist()]
    assert turned.tolist() == expected
    masked = Table(path, required=[[0, 2], [2, 1]])(WORDS)
    lacking = (WORDS[:, 0] != 2) | (WORDS[:, 2] != 1)
    assert bool((masked[lacking] == 1e-3).all())
    assert torch.equal(masked[~lacking], Table(path)(WORDS)[~lacking])


def test_what_no_table_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no table at .*nowhere\.npz"):
        Table(str(tmp_path / "nowhere.npz"))
    for name, arrays, told in (
        ("other", {"x": WORDS.numpy()}, "npz of 'x'"),
        ("short", {"x": WORDS.numpy(), "y": VALUES[:5]}, r"\(256, 4\) and values \(5,\)"),
        ("hole", {"x": WORDS.numpy(), "y": np.where(np.arange(256) == 7, np.nan, VALUES)}, "no number"),
        ("twice", {"x": np.zeros((2, 4)), "y": np.ones(2)}, "twice"),
    ):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(ConfigurationError, match=told):
            Table(str(tmp_path / f"{name}.npz"))
    (tmp_path / "words.csv").write_text("a,b\nc,d\n")
    with pytest.raises(ConfigurationError, match="no table of objects"):
        Table(str(tmp_path / "words.csv"))


def test_settings_of_a_table_are_refused_by_name(path):
    for wrong, told in (
        ({"floor": 0.0}, "floor must be above 0"),
        ({"positions": [0, 0, 1, 2]}, "positions must hold"),
        ({"letters": [0, 1]}, "letters must hold"),
        ({"required": [[4, 0]]}, "required holds"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            Table(path, **wrong)


def test_objects_outside_a_table_are_named(tmp_path):
    np.savez(tmp_path / "half.npz", x=WORDS.numpy()[:128], y=VALUES[:128])
    reward = Table(str(tmp_path / "half.npz"))
    with pytest.raises(OracleError, match=r"\(2, 0, 0, 0\) is not in .*half\.npz"):
        reward(WORDS)
    with pytest.raises(OracleError, match="have 8 entries"):
        reward(torch.zeros(1, 8))
    game = Game.make(
        "gfn.gym.BitSequence",
        {"word_size": 2, "seq_size": 8, "n_modes": 1},
        {"class_path": "genrl.gflownets.rewards.Table", "init_args": {"path": str(tmp_path / "half.npz")}},
    )
    with pytest.raises(OracleError, match="the first"):
        game.rewards(WORDS)


def test_modes_of_a_grid_are_torchgfns_own():
    env = HyperGrid(2, 16)
    cells = torch.cartesian_prod(torch.arange(16), torch.arange(16))
    own = env.reward(env.states_from_tensor(cells)).double()
    torch.testing.assert_close(GridModes(16)(cells), own, rtol=1e-6, atol=0)
    one = GridModes(16, corners=[[1, 0]])(cells)
    corner = (cells[:, 0] >= 8) & (cells[:, 1] < 8)
    torch.testing.assert_close(one[corner], own[corner], rtol=1e-6, atol=0)
    assert bool((one[~corner] == 0.1).all())


def test_modes_of_sequences_are_torchgfns_own():
    modes = ["00110101", "11110000"]
    env = BitSequence(2, 8, n_modes=2, temperature=2.0)
    env.modes = torch.tensor([[int(bit) for bit in mode] for mode in modes])
    words = torch.cartesian_prod(*[torch.arange(4)] * 4)
    own = env.reward(env.states_from_tensor(words)).double()
    torch.testing.assert_close(BitModes(modes, word=2, temperature=2.0)(words), own, rtol=1e-5, atol=0)
    with pytest.raises(OracleError, match="8 bits"):
        BitModes(modes)(words)
    with pytest.raises(ConfigurationError, match="sequences of 0 and 1"):
        BitModes(["01", "011"])


def test_strands_of_rna():
    with pytest.raises(ConfigurationError, match="letters A, C, G and U"):
        RNABinding("ACGT")
    try:
        import RNA
    except ImportError:
        with pytest.raises(ConfigurationError, match=r"ViennaRNA.*genrl-synth\[rna\]"):
            RNABinding("GAACGAGGCACAUU")
        return
    reward = RNABinding("GAACGAGGCACAUU")
    best = torch.tensor([["UGCA".index(letter) for letter in "AAUGUGCCUCGUUC"]])  # its reverse complement
    assert math.isclose(float(reward(best)), 1.0)
    unbound = torch.full((1, 14), "UGCA".index("A"))
    share = RNA.duplexfold("A" * 14, reward.target).energy / RNA.duplexfold("AAUGUGCCUCGUUC", reward.target).energy
    assert math.isclose(float(reward(unbound)), max(share, 1e-3))


def test_corners_of_another_grid_are_refused():
    with pytest.raises(OracleError, match="are not of a grid in 2 dimensions"):
        GridModes(4, corners=((0, 1, 1), (0, 0, 1)))(torch.zeros(1, 2))


def test_rewards_are_kept_by_name_in_numbers_of_any_kind():
    spec = DataSpec.of(built(episodes=3))
    told = recorded_entries(rewarded(spec, Constant(np.float32(0.5))).card)["kwargs"]["reward"]
    assert told == {"class_path": "genrl.gflownets.rewards.Constant", "init_args": {"value": 0.5}}
    for no_value in (Constant, lambda objects: objects):
        with pytest.raises(ConfigurationError, match="must be a frozen dataclass"):
            rewarded(spec, no_value)
