"""Arguments out of range are refused by name."""

import pytest

from genrl.data.errors import ConfigurationError
from genrl.data.ranges import require_whole
from genrl.learners.beso import BESO
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, linear


def test_whole_numbers_are_whole():
    require_whole(1, steps=3, seed=None)
    for number in (1e5, 2.5, "3"):
        with pytest.raises(ConfigurationError, match=f"steps must be a whole number, not {number!r}"):
            require_whole(1, steps=number)
    with pytest.raises(ConfigurationError, match="steps must be at least 1, not 0"):
        require_whole(1, steps=0)


@pytest.mark.parametrize(
    "settings", [{"steps": 1e1}, {"batch_size": 8.0}, {"seed": 1.5}, {"val_every": -5}, {"patience": -1}]
)
def test_a_fit_counts_in_whole_numbers(settings):
    name = next(iter(settings))
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        fit(METHODS["trajectory-mlp"](), linear(), **{"steps": 2, "progress": False, **settings})


def test_a_class_is_no_module_to_fit():
    with pytest.raises(ConfigurationError, match=r"BESO is a class: fit one of its kind, BESO\(...\)"):
        fit(BESO, linear(), 2)


@pytest.mark.parametrize("name", ["history", "chunk", "goal_length"])
def test_a_window_is_made_of_whole_steps(name):
    with pytest.raises(ConfigurationError, match=f"{name} must be a whole number, not 2.5"):
        BESO(**{name: 2.5})
