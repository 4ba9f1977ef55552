"""Pictures of guidance: what they show is read back from the figure."""

import math

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from genrl.diffusion.guidance import Diagnostics
from genrl.evaluation.dynamics_error import DynamicsError
from genrl.evaluation.guidance_plots import frontier, guidance_strength
from genrl.evaluation.likelihood import PolicyLikelihood
from genrl.evaluation.style import REAL, SYNTHETIC


def measured(likelihood: float, errors: list[float], impossible: int = 0) -> tuple[PolicyLikelihood, DynamicsError]:
    """Transitions with these errors, and others that begin in impossible states."""
    count = len(errors)
    error = DynamicsError(
        names=["x"],
        states=np.array(errors).reshape(count, 1),
        rewards=np.zeros(count),
        terminated=np.zeros((count, 2), bool),
        transitions=count + impossible,
        faults={"in a wall": impossible},
        impossible=impossible,
        hidden=0,
    )
    return PolicyLikelihood("Normal(mean, 1)", np.array([likelihood] * 3), None, np.array([1, 2]), 1), error


def test_strength_is_the_mean_ratio_at_every_noise_level_from_noise_to_data():
    twice = Diagnostics(sigma=[80.0, 2.0, 2.0, 0.1], guidance=[1.0, 1.0, 9.0, 2.0], update=[10.0, 2.0, 6.0, 0.5])
    axes = guidance_strength({"scale 1": twice}).axes[0]
    curve, one = axes.lines
    assert curve.get_xydata() == pytest.approx(np.array([[0.1, 4.0], [2.0, (0.5 + 1.5) / 2], [80.0, 0.1]]))
    assert set(one.get_ydata()) == {1.0}
    left, right = axes.get_xlim()
    assert left > right
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["scale 1"]


def test_the_frontier_has_a_dot_a_data_set_in_the_order_of_scales():
    guided = {"0": measured(-3.0, [0.1, 0.2, 0.6]), "1": measured(-2.0, [0.3], impossible=3)}
    figure = frontier({"real": {"": measured(-2.5, [0.0])}, "synthetic": guided})
    left, right = figure.axes
    assert [line.get_color() for line in left.lines] == [REAL, SYNTHETIC]
    assert left.lines[1].get_xydata() == pytest.approx(np.array([[-3.0, 0.2], [-2.0, 0.3]]))
    assert right.lines[1].get_xydata() == pytest.approx(np.array([[-3.0, 0.0], [-2.0, 75.0]]))
    assert [text.get_text() for text in left.texts] == ["", "0", "1"]
    assert [text.get_text() for text in right.texts] == ["", "", "1"]  # of none impossible there is nothing to tell
    (_, up) = (part for part in left.collections if isinstance(part, LineCollection))
    assert up.get_segments()[0] == pytest.approx(np.array([[-3.0, 0.2], [-3.0, np.quantile([0.1, 0.2, 0.6], 0.9)]]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["real", "synthetic"]
    assert figure.png().startswith(b"\x89PNG")


def test_where_nothing_could_be_compared_only_the_impossible_share_is_shown():
    figure = frontier({"guided": {"100": measured(-5.0, [], impossible=4)}})
    left, right = figure.axes
    assert math.isnan(left.lines[0].get_ydata()[0])
    assert not left.texts
    assert right.lines[0].get_ydata().tolist() == [100.0]
    assert [text.get_text() for text in right.texts] == ["100"]
    assert figure.png().startswith(b"\x89PNG")
