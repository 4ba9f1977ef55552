"""Reports: self-contained, escaped, and a quality report on real episodes."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import gymnasium as gym
import numpy as np
import pytest

from genrl.data.arrays import from_arrays
from genrl.data.collect import collect
from genrl.data.episodes import concatenate
from genrl.data.errors import AlignmentError
from genrl.data.policies import RandomPolicy
from genrl.evaluation.quality import quality_report
from genrl.evaluation.report import Report
from genrl.evaluation.style import Picture

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads a page: the tags that are open, all attributes, and the text of cells and paragraphs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style" and data.strip():
            self.words.append(data.strip())


def test_a_report_holds_what_it_was_given_in_order_and_escaped():
    evil = '<script>alert("x")</script> & more'
    page = Page(
        Report(evil)
        .heading("Results")
        .text(evil)
        .table([("real", 0.5), (evil, 1)], "caption & more", ("arm", "success"))
        .figure(Picture(1, 1), 'a "quoted" caption')
        .html()
    )
    assert page.open == []
    assert "script" not in {tag for tag, _, _ in page.attributes}
    assert page.words == [
        evil, evil, "Results", evil, "caption & more", "arm", "success", "real", "0.5", evil, "1", 'a "quoted" caption',
    ]  # fmt: skip
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert base64.b64decode(sources[0].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")


def test_an_older_report_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "deep" / "report.html"
    Report("one").write(path)
    assert Report("two").write(str(path)) == path
    assert "<h1>two</h1>" in path.read_text()
    assert list(path.parent.iterdir()) == [path]


@pytest.fixture(scope="module")
def pendulum():
    """Real episodes of two kinds: of a random policy, and with longer episodes."""
    policy = RandomPolicy(gym.make("Pendulum-v1").action_space)
    return [collect("Pendulum-v1", policy, 6, seed, max_steps=steps) for seed, steps in ((0, 40), (1, 60))]


def test_quality_report_is_one_self_contained_file(tmp_path, pendulum):
    real, synthetic = pendulum
    text = quality_report(real, synthetic, tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    without_pictures = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//|url\(|@import|<script|<link", without_pictures)
    assert sum(tag == "img" and name == "src" for tag, name, _ in page.attributes) == 5
    for heading in ("Trajectories", "Marginals", "Correlations", "Returns and lengths", "Nearest real neighbours"):
        assert heading in page.words
    assert page.words[page.words.index("transitions") : page.words.index("transitions") + 3] == [
        "transitions",
        "240",
        "360",
    ]
    assert page.words[page.words.index("lengths, W1 in steps") + 1] == "20.00"
    assert 'role="alert"' not in text


def test_quality_report_warns_of_copies(tmp_path, pendulum):
    real, other = pendulum
    text = quality_report(real, concatenate([real, real]), tmp_path / "report.html", held_out=other).read_text()
    assert 'role="alert">100 % of the synthetic windows' in text


def test_quality_report_of_a_single_real_episode_says_what_it_cannot_measure(tmp_path, pendulum):
    text = quality_report(pendulum[0][0], pendulum[1], tmp_path / "report.html").read_text()
    assert "Not measured: too few real episodes" in text


def test_quality_report_refuses_other_spaces(tmp_path, pendulum, episode_factory):
    with pytest.raises(AlignmentError, match="same spaces"):
        quality_report(pendulum[0], episode_factory([3]), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_images_are_left_out_and_named(tmp_path):
    rng = np.random.default_rng(0)
    space, lengths = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8), [9, 12, 7]
    seen = rng.integers(0, 256, (sum(lengths) + 3, 8, 8, 3)).astype(np.uint8)
    actions, rewards = rng.normal(size=(28, 2)).astype(np.float32), rng.normal(size=28)
    data = from_arrays(seen, actions, rewards, lengths=lengths, observation_space=space)
    text = quality_report(data, data, tmp_path / "report.html").read_text()
    assert "Images are left out of everything here: observation." in text
    assert text.count("<img") == 4


def test_data_of_another_environment_are_warned_of(tmp_path, pendulum):
    one, other = pendulum
    card = replace(other.card, env_spec=gym.spec("Acrobot-v1").to_json())
    assert "different environments" not in quality_report(one, other, tmp_path / "report.html").read_text()
    text = quality_report(one, replace(other, card=card), tmp_path / "report.html").read_text()
    assert "Of different environments: Pendulum, and Acrobot." in text
