"""What ``genrl synthesize`` makes of its options before anything is generated."""

from pathlib import Path

import numpy as np
import pytest

from genrl.data.errors import ConditionError, ConfigurationError
from genrl.diffusion.sampling import changed
from genrl.methods.sampling import Sampling
from genrl.synthesis.command import _read


def test_another_solver_does_not_inherit_options():
    fitted = Sampling("dpmpp_2s", 10, options={"eta": 1.0})
    assert changed(fitted, {"steps": 5}, "model") == Sampling("dpmpp_2s", 5, options={"eta": 1.0})
    assert changed(fitted, {"solver": "heun"}, "model") == Sampling("heun", 10)
    other = {"solver": "euler", "options": {"eta": 0.5}}
    assert changed(fitted, other, "model") == Sampling("euler", 10, options={"eta": 0.5})
    with pytest.raises(
        ConfigurationError, match=r"A model cannot be sampled with .*; settings are: options, precision"
    ):
        changed(fitted, {"step": 5}, "model")
    with pytest.raises(ConfigurationError, match="A WorldModel has no sampler"):
        changed(None, {"steps": 5}, "WorldModel")


def words(path: Path) -> None:
    np.savez(path, start=np.array(["a"] * 3))


def array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 2)))


def truncated(path: Path) -> None:
    np.savez(path, start=np.zeros((3, 2)))
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (words, "is not an npz file of arrays of numbers"),
        (array, "is not an npz file of arrays of numbers"),
        (truncated, "is not an npz file of arrays of numbers"),
        (lambda path: path.write_bytes(b""), "is not an npz file of arrays of numbers"),
        (lambda path: np.savez(path, returns=3.0), "is a single number: give one row for each episode"),
        (lambda path: np.savez(path, goal=[[0.0, np.nan]]), "'known' alone"),
        (lambda path: np.savez(path, known=[[[np.inf]]]), "infinite values in row 0"),
        (lambda path: np.savez(path, goals=[[0.0]]), "holds goals; conditions are named start, goal"),
    ],
)
def test_a_file_that_holds_no_conditions_is_named(write, reason, tmp_path):
    path = tmp_path / "wishes.npz"
    write(path)
    with pytest.raises(ConditionError, match=reason) as told:
        _read(path)
    assert "wishes.npz" in str(told.value)


def test_entries_that_are_not_known_may_be_missing(tmp_path):
    np.savez(tmp_path / "wishes.npz", known=np.full((2, 3, 4), np.nan))
    assert _read(tmp_path / "wishes.npz").known.isnan().all()
