"""Pictures of actions: what they show is read back from the figure."""

import numpy as np
import pytest

from genrl.data.errors import ConfigurationError, UnsupportedSpaceError
from genrl.evaluation.action_plots import first_actions, shares
from genrl.evaluation.statistics import rate
from genrl.evaluation.style import FAINT, SYNTHETIC


def test_a_panel_has_the_first_action_of_every_episode_above_those_of_the_data(episode_factory):
    actions = np.arange(18.0).reshape(6, 3)
    data, policy = episode_factory([2, 1], actions=actions[:3]), episode_factory([1, 3, 2], actions=actions)
    figure = first_actions({"play": data, "one": policy, "two": data}, columns=2)
    one, two = figure.axes
    assert [line.get_color() for line in one.lines] == [FAINT, SYNTHETIC]
    assert one.lines[0].get_xydata().tolist() == [[0.0, 1.0], [6.0, 7.0]]
    assert one.lines[1].get_xydata().tolist() == [[0.0, 1.0], [3.0, 4.0], [12.0, 13.0]]
    assert two.lines[1].get_xydata().tolist() == one.lines[0].get_xydata().tolist()
    assert one.get_xlim() == one.get_ylim() == two.get_xlim()
    assert one.get_xlim()[1] > 13.0
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["play", "policy"]
    assert figure.png().startswith(b"\x89PNG")


def test_an_action_of_one_number_is_refused(episode_factory):
    with pytest.raises(UnsupportedSpaceError, match="two entries of an action"):
        first_actions({"play": episode_factory([2]), "policy": episode_factory([2])})


def test_a_single_data_set_is_refused(episode_factory):
    with pytest.raises(ConfigurationError, match="play is all"):
        first_actions({"play": episode_factory([2])})


def test_a_legend_is_no_wider_than_its_picture(episode_factory):
    actions = np.arange(9.0).reshape(3, 3)
    data = {"all that was seen": episode_factory([2, 1], actions=actions)}
    figure = first_actions(data | {"one": data["all that was seen"]})
    figure.png()
    (legend,) = figure.legends
    assert legend.get_window_extent().width <= figure.bbox.width
    assert legend._ncols == 1


def test_shares_lie_at_their_settings_within_their_intervals():
    some, all_of_them = rate(np.array([True, False, False, False])), rate(np.ones(4, bool))
    axes = shares({"goal": {0.0: some, 1.5: all_of_them}}, x="weight", y="share").axes[0]
    (line,) = axes.lines
    assert line.get_xydata().tolist() == [[0.0, 0.25], [1.5, 1.0]]
    (spans,) = axes.collections
    for segment, share in zip(spans.get_segments(), (some, all_of_them), strict=True):
        assert segment[:, 1] == pytest.approx([share.low, share.high])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["goal"]
