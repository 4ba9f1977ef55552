"""Pictures: what they show is read back from the figure, and every one renders."""

import csv
import io
import json
import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from matplotlib import image
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from genrl.data.arrays import from_arrays
from genrl.data.collect import collect
from genrl.data.copying import copying
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard
from genrl.data.errors import ConfigurationError
from genrl.data.policies import RandomPolicy
from genrl.data.waypoint import WaypointPolicy
from genrl.evaluation import curves, plots
from genrl.evaluation.fidelity import fidelity
from genrl.evaluation.mazes import Maze
from genrl.evaluation.planes import plane_of
from genrl.evaluation.statistics import Interval
from genrl.evaluation.style import REAL, SYNTHETIC, colours


@pytest.fixture(scope="module")
def maze_episodes():
    """Real episodes of the waypoint controller in the U-maze."""
    policy = WaypointPolicy.for_env(make_env("PointMaze_UMaze-v3"))
    return collect("PointMaze_UMaze-v3", policy, 4, 0, max_steps=40)


@pytest.fixture(scope="module")
def maze_env():
    return make_env("PointMaze_UMaze-v3").unwrapped.maze


def pixels(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return image.imread(io.BytesIO(buffer.getvalue()))


def test_a_maze_is_where_the_simulator_has_it(maze_episodes, maze_env):
    maze = Maze.of_card(maze_episodes.card)
    figure = plots.trajectories({"real": maze_episodes, "synthetic": maze_episodes})
    axes = figure.axes[0]
    assert len(figure.axes) == 2
    for row, column in np.argwhere(maze.walls):
        centre = maze_env.cell_rowcol_to_xy(np.array([row, column]))
        assert sum(np.allclose(patch.get_center(), centre) for patch in axes.patches) == 1
    assert len(axes.patches) == maze.walls.sum() == 18


def test_a_wide_maze_takes_less_height(episode_factory):
    """And fills the width of its panel all the same."""
    square, wide = Maze(np.ones((4, 4), bool)), Maze(np.ones((4, 8), bool))
    heights, widths = {}, {}
    for name, maze in {"square": square, "wide": wide}.items():
        figure = plots.trajectories({"real": episode_factory([3] * 4)}, maze)
        figure.draw_without_rendering()
        heights[name], widths[name] = figure.get_figheight(), figure.axes[0].get_window_extent().width
    assert heights["wide"] == pytest.approx(heights["square"] - plots.PANEL / 2)
    assert widths["wide"] == pytest.approx(widths["square"], rel=0.1)


def test_trajectories_are_drawn_whole_from_start_to_goal(maze_episodes):
    figure = plots.trajectories({"real": maze_episodes})
    axes = figure.axes[0]
    lines = axes.collections[0].get_segments()
    assert sorted(len(line) for line in lines) == sorted((maze_episodes.lengths + 1).tolist())
    marked = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert {tuple(line[0]) for line in lines} == {tuple(point) for point in marked["start"]}
    assert {tuple(line[-1]) for line in lines} == {tuple(point) for point in marked["end"]}
    assert {tuple(goal) for goal in marked["goal"]} == {
        tuple(goal) for goal in maze_episodes.observations["desired_goal"].unique(dim=0).numpy()
    }
    assert pixels(figure).std() > 0
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_at_most_so_many_trajectories(episode_factory):
    figure = plots.trajectories({"real": episode_factory([3] * 10)}, most=4)
    assert len(figure.axes[0].collections[0].get_segments()) == 4
    assert figure.axes[0].get_title(loc="left") == "real (4 of 10 episodes)"


def test_a_plane_through_many_dimensions_keeps_most_variance(episode_factory):
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(210, 2)) * [3.0, 2.0]
    mixing = rng.normal(size=(2, 5))
    episodes = episode_factory([20] * 10, hidden @ mixing + 5.0)
    plane = plane_of(episodes)
    points = plane.project(episodes)
    assert points.mean(0) == pytest.approx([0, 0], abs=1e-6)
    standard = (episodes.observations[""] - episodes.observations[""].mean(0)) / episodes.observations[""].std(0)
    assert points.var(0).sum() == pytest.approx(
        standard.var(0, correction=0).sum().item(), rel=0.02
    )  # rank 2: all of it


def test_observations_that_never_change_have_a_plane(episode_factory):
    constant = episode_factory([20], np.ones((21, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plane = plane_of(constant)
        assert (plane.project(constant) == 0).all()
    assert plane.labels[0] == "principal component 1 (0 % of variance)"


def test_card_without_a_maze():
    assert Maze.of_card(DatasetCard()) is None
    assert Maze.of_card(DatasetCard(env_spec=gym.spec("Pendulum-v1").to_json())) is None
    spec = json.dumps({"id": "AntMaze_UMaze-v5", "kwargs": {"maze_map": [[1, 1, 1], [1, "r", 1], [1, 1, 1]]}})
    maze = Maze.of_card(DatasetCard(env_spec=spec))
    assert maze.walls.sum() == 8
    assert maze.half_size == (6.0, 6.0)


def test_marginals_have_one_panel_a_column(maze_episodes):
    figure = plots.marginals(maze_episodes, maze_episodes)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in shown[-3:]] == ["action[0]", "action[1]", "reward"]
    assert {axes.get_title(loc="right") for axes in shown} == {"0.00"}
    assert len([axes for axes in plots.marginals(maze_episodes, maze_episodes, most=3).axes if axes.axison]) == 3


def test_choices_share_one_panel():
    env = gym.make("FrozenLake-v1")
    real, other = (collect("FrozenLake-v1", RandomPolicy(env.action_space), 20, seed) for seed in (0, 1))
    figure = plots.marginals(real, other)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in shown] == ["observation", "action", "reward"]
    heights = np.array([bar.get_height() for bar in shown[1].containers[0]])
    shares, others = (np.bincount(data.actions[""], minlength=4) / data.num_transitions for data in (real, other))
    np.testing.assert_allclose(heights, shares, atol=1e-6)
    assert shown[1].get_title(loc="right") == f"{np.abs(shares - others).sum() / 2:.2f}"
    path = plots.trajectories({"real": real[0]}).axes[0].collections[0].get_segments()[0]
    states = real[0].observations[""].numpy()
    np.testing.assert_array_equal(path, np.stack([np.arange(len(states)), states], -1))


def test_names_like_those_of_categories_are_names():
    space = gym.spaces.Dict(
        {
            "a=b": gym.spaces.Box(-1, 1, (2,), np.float64),
            "c=1": gym.spaces.Box(-1, 1, (), np.float64),
            "d=2": gym.spaces.Discrete(3, start=2),
        }
    )
    rng = np.random.default_rng(0)
    values = {"a=b": rng.uniform(-1, 1, (5, 2)), "c=1": rng.uniform(-1, 1, 5), "d=2": rng.integers(2, 5, 5)}
    data = from_arrays([values], [np.zeros((4, 1), np.float32)], [np.zeros(4)], observation_space=space)
    shown = [axes for axes in plots.marginals(data, data).axes if axes.axison]
    titles = [axes.get_title(loc="left") for axes in shown]
    assert titles == ["a=b[0]", "a=b[1]", "c=1", "d=2", "action[0]", "reward"]


@pytest.mark.parametrize(
    "goal", [gym.spaces.Box(-1, 1, (1,)), gym.spaces.Box(-1, 1, ()), gym.spaces.Discrete(5, start=2)]
)
def test_goals_of_one_entry_are_no_positions(goal):
    space = gym.spaces.Dict({"observation": gym.spaces.Box(-1, 1, (3,)), "achieved_goal": goal, "desired_goal": goal})
    space.seed(0)
    rows = [space.sample() for _ in range(5)]
    seen = {name: np.stack([row[name] for row in rows]) for name in space}
    data = from_arrays([seen], [np.zeros((4, 1), np.float32)], [np.zeros(4)], observation_space=space)
    assert plots.trajectories({"real": data}).axes


def test_a_category_is_drawn_at_its_own_number():
    space = gym.spaces.Discrete(5, start=2)
    data = from_arrays([np.array([2, 3, 6, 4])], [np.zeros((3, 1), np.float32)], [np.zeros(3)], observation_space=space)
    path = plots.trajectories({"real": data}).axes[0].collections[0].get_segments()[0]
    np.testing.assert_array_equal(path[:, 1], [2, 3, 6, 4])


def test_histograms_are_densities_around_a_lone_value(episode_factory):
    constant = episode_factory([4] * 3, rewards=np.full(12, 0.25))
    figure = plots.returns(constant, constant)
    filled = [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in figure.axes[0].containers[0]]
    assert sum(width * height for _, width, height in filled) == pytest.approx(1.0)
    ((x, width),) = [(x, width) for x, width, height in filled if height > 0]
    assert x + width / 2 == pytest.approx(1.0)
    pixels(figure)


def test_correlations_and_neighbours_render(maze_episodes):
    compared = fidelity(maze_episodes, maze_episodes)
    figure = plots.correlations(compared)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), compared.correlation_real)
    assert np.all(figure.axes[2].images[0].get_array() == 0)
    pixels(figure)
    measured = copying(maze_episodes, maze_episodes, maze_episodes, horizon=4)
    lines = plots.neighbours(measured).axes[0].lines
    assert lines[0].get_ydata()[-1] == 1.0
    assert lines[2].get_label() == "held-out 5th percentile"


def test_film_strip_shows_first_and_last_step(maze_episodes):
    final = torch.randn(7, 12, 4, generator=torch.Generator().manual_seed(0)) * 0.3
    levels = [5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.0]
    strip = plots.film_strip([final + level for level in levels], levels, Maze.of_card(maze_episodes.card), panels=4)
    titles = [axes.get_title() for axes in strip.axes]
    assert len(titles) == 4
    assert titles[0].endswith("= 5")
    assert titles[-1].endswith("= 0")
    np.testing.assert_allclose(strip.axes[-1].collections[0].get_segments()[0], final[0, :, :2], atol=1e-6)
    pixels(plots.film_strip([final], [0.0]))


def test_learning_curves_read_lightnings_log(tmp_path):
    with open(tmp_path / "metrics.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "train_loss", "val_loss"])
        writer.writerows([[0, 9, 0.9, ""], [0, 10, "", 1.0], [1, 19, 0.5, ""]])
    lines = curves.learning_curves(tmp_path / "metrics.csv").axes[0].lines
    assert {line.get_label(): line.get_xydata().tolist() for line in lines} == {
        "train_loss": [[9, 0.9], [19, 0.5]],
        "val_loss": [[10, 1.0]],
    }
    with pytest.raises(ConfigurationError, match=r"no metric 'loss'; it holds train_loss, val_loss"):
        curves.learning_curves(tmp_path / "metrics.csv", ["loss"])


def test_long_curves_get_a_running_mean():
    steps = np.arange(300)
    lines = curves.learning_curves({"loss": (steps, steps % 2)}, log=True).axes[0].lines
    assert len(lines) == 2
    np.testing.assert_allclose(lines[1].get_ydata(), 0.5)  # the mean of 10 values that alternate


def test_bars_show_values_and_intervals():
    arms = {"real": Interval(0.4, 0.3, 0.5), "both": Interval(0.7, np.nan, np.nan)}
    axes = curves.bars(arms, "success rate", reference=0.4).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.4, 0.7]
    assert axes.lines[0].get_xdata().tolist() == [0.3, 0.5]
    assert [text.get_text() for text in axes.texts] == ["0.40", "0.70"]
    assert axes.patches[0].get_facecolor()[:3] == to_rgba(REAL)[:3]


def test_real_and_synthetic_keep_their_colours():
    chosen = colours(["both", "synthetic", "real_10x", "real"])
    assert (chosen["real"], chosen["synthetic"]) == (REAL, SYNTHETIC)
    assert len(set(chosen.values())) == 4
    assert len(set(colours(["a", "b", "c"]).values())) == 3


def test_data_without_goals_have_no_goal_marks(episode_factory, maze_episodes):
    figure = plots.trajectories({"real": episode_factory([5, 6])})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["start", "end"]
    unknown = replace(maze_episodes, card=DatasetCard())
    assert plots.trajectories({"real": unknown}, maze=Maze.of_card(maze_episodes.card)).axes[0].patches
    assert not plots.trajectories({"real": unknown}).axes[0].patches
