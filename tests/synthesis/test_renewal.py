"""A fit whose synthetic data are renewed: which rows it sees, made by which policy, and that nothing else changes."""

import copy
import time
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from genrl.data.episodes import Episodes
from genrl.data.errors import CheckpointError, ConfigurationError, NonFiniteError
from genrl.learners.beso import BESO
from genrl.methods.method import Method
from genrl.nets.policy_mlp import PolicyMLP
from genrl.synthesis.shards import from_tensors
from genrl.synthesis.sources import Unguided
from genrl.training.checkpoint import save
from genrl.training.datamodule import EpisodesData
from genrl.training.fit import fit
from genrl.training.rest import at_rest
from tests.methods.toy_methods import METHODS, equal_weights, linear, walks
from tests.synthesis.toy_loop import EVERY, LEARNERS, PER_EPOCH, STEPS, Watch, fitted, renewal
from tests.training.killing import kill_once_there

pytestmark = pytest.mark.usefixtures("one_thread")


class Marked(Unguided):
    """Remembers the weights of the learner that it was asked for, and marks each generation by its rewards."""

    def __init__(self, method: Method) -> None:
        super().__init__(method)
        self.seen: dict[int, dict] = {}

    def __call__(self, learner, generation: int) -> Method:
        assert not learner.training
        assert not any(parameter.requires_grad for parameter in learner.parameters())
        self.seen[generation] = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
        torch.rand(5)  # a careless source
        return Rewarding(self.method, 1000.0 * (generation + 1))


class Rewarding:
    """A method whose rewards are all ``reward``."""

    def __init__(self, method: Method, reward: float) -> None:
        self.method, self.reward, self.spec = method, reward, method.spec
        self.diagnostics = {"guidance": reward / 2}

    def synthesize(self, block, conditions=None, **settings) -> Episodes:
        made = self.method.synthesize(block, conditions, **settings)
        made.rewards.fill_(self.reward)
        return made


@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
def test_each_generation_is_made_by_the_policy_of_its_time_and_fills_its_share(make, method):
    source, watch = Marked(method), Watch()
    fitted(make(), renewal(source), watch)
    assert sorted(source.seen) == [0, 1, 2]
    for generation, weights in source.seen.items():
        before = watch.weights[generation * EVERY]
        assert all(torch.equal(tensor, before[name]) for name, tensor in weights.items())
    assert any(not torch.equal(tensor, source.seen[1][name]) for name, tensor in source.seen[0].items())
    real = linear().rewards.float()
    for position, batch in enumerate(watch.batches):
        assert len(batch.rewards) == 16
        assert torch.isin(batch.rewards[:4], real).all()
        assert (batch.rewards[4:] == 1000.0 * (position // EVERY + 1)).all()


def test_generations_live_as_long_as_asked_and_share_equally(method):
    watch = Watch()
    fitted(LEARNERS["bc"](), renewal(Marked(method), every=3, lifetime=2, real_fraction=0.0), watch)
    for position, batch in enumerate(watch.batches):
        newest = position // 3
        counts = {1000.0 * (g + 1): 16 // min(newest + 1, 2) for g in range(max(newest - 1, 0), newest + 1)}
        values, found = batch.rewards.unique(return_counts=True)
        assert dict(zip(values.tolist(), found.tolist(), strict=True)) == counts


def test_a_fit_on_real_rows_alone_is_the_plain_fit(method):
    source, plain, renewed = Marked(method), LEARNERS["td3bc"](), LEARNERS["td3bc"]()
    fitted(plain, None)
    fitted(renewed, renewal(source, real_fraction=1.0))
    assert equal_weights(plain, renewed)
    assert not source.seen


def test_one_generation_gives_the_batches_of_a_fit_on_both_data_sets(method):
    watch, plain, loop = Watch(), Watch(), renewal(Unguided(method), every=STEPS)
    fitted(LEARNERS["td3bc"](), loop, watch)
    (tensors,) = loop.state_dict()["alive"].values()
    made = from_tensors(tensors, method.spec, method.spec.card)
    both = EpisodesData(
        [linear(), made], [0.25, 0.75], batch_size=16, val_fraction=0.2, batches_per_epoch=PER_EPOCH, seed=0
    )
    fitted(LEARNERS["td3bc"](), None, plain, data=both)
    for one, other in zip(watch.batches, plain.batches, strict=True):
        assert torch.equal(one.rewards, other.rewards)


def test_a_renewal_leaves_no_trace_but_its_data(method):
    """Two fits on equal synthetic rows, whose sources disturb the learner and the random state differently."""

    class Careless(Unguided):
        def __call__(self, learner, generation: int) -> Method:
            torch.rand(generation + 3)
            learner.policy()
            learner.eval()
            learner.requires_grad_(False)
            return super().__call__(learner, generation)

    one, other = LEARNERS["td3bc"](), LEARNERS["td3bc"]()
    fitted(one, renewal(Unguided(method)))
    fitted(other, renewal(Careless(method)))
    assert equal_weights(one, other)
    plain = LEARNERS["td3bc"]()
    plain.prepare(linear())
    assert plain.state_dict().keys() == one.state_dict().keys()


def test_what_every_block_warns_of_is_said_once_a_generation(method):
    class Doubtful(Unguided):
        def __call__(self, learner, generation: int) -> Method:
            made = Rewarding(self.method, 0.0)
            plain = made.synthesize

            def synthesize(block, conditions=None, **settings):
                warnings.warn(f"block {block.index} is doubtful", stacklevel=1)
                return plain(block, conditions, **settings)

            made.synthesize = synthesize
            return made

    with pytest.warns(UserWarning, match="doubtful") as told:
        fitted(LEARNERS["bc"](), renewal(Doubtful(method)))
    texts = [str(each.message) for each in told if "doubtful" in str(each.message)]
    assert texts == ["block 0 is doubtful (1 more like this.)"] * 3


def test_at_rest_restores_every_part():
    learner = LEARNERS["td3bc"]()
    learner.prepare(linear())
    learner.actor.eval()
    state = torch.random.get_rng_state()
    modes = [part.training for part in learner.modules()]
    grads = [parameter.requires_grad for parameter in learner.parameters()]
    assert len(set(modes)) == len(set(grads)) == 2  # target networks take no gradient
    with at_rest(learner):
        assert not any(part.training for part in learner.modules())
        torch.rand(3)
    with pytest.raises(ZeroDivisionError), at_rest(learner):
        raise ZeroDivisionError
    assert [part.training for part in learner.modules()] == modes
    assert [parameter.requires_grad for parameter in learner.parameters()] == grads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_statistics_and_validation_are_those_of_the_real_data(method):
    plain, renewed = LEARNERS["td3bc"](), LEARNERS["td3bc"]()
    fitted(plain, None)
    trainer = fitted(renewed, renewal(Marked(method)))
    assert plain.spec.fingerprint == renewed.spec.fingerprint
    for name, tensor in plain.observer.state_dict().items():
        assert torch.equal(tensor, renewed.observer.state_dict()[name])
    held_out = trainer.datamodule.val_episodes.rewards.float()
    assert all(torch.isin(batch.rewards, held_out).all() for batch in trainer.datamodule.val_dataloader())


def test_renewals_are_as_long_as_asked_and_told(method, capfd, tmp_path):
    loop = renewal(Marked(method), transitions=40)
    log = fitted(LEARNERS["iql"](), loop, logger=CSVLogger(tmp_path)).logger
    assert [facts["generation"] for facts in loop.history] == [0, 1, 2]
    for facts in loop.history:
        assert 40 <= facts["transitions"] < 40 + 8 * method.horizon
        assert facts["mean_return"] == pytest.approx(1000 * (facts["generation"] + 1) * method.horizon, rel=0.5)
        assert facts["guidance"] == 500 * (facts["generation"] + 1)
        assert facts["seconds"] > 0
        assert 0 <= facts["terminated"] <= 1
    written = (Path(log.log_dir) / "metrics.csv").read_text()
    assert "renewal/mean_return" in written
    assert "renewal/guidance" in written
    fit(LEARNERS["bc"](), linear(), 8, batch_size=16, callbacks=[renewal(Unguided(method))])
    shown = capfd.readouterr()
    told = [line for line in (shown.out + shown.err).replace("\r", "\n").splitlines() if line.startswith("Generation")]
    assert len(told) == 2
    assert "transitions by TrajectoryDiffusion" in told[0]
    assert "1 more" in told[0]
    assert "0 more" in told[1]


def test_agents_that_look_back_learn_from_renewed_data_as_well(method):
    net = partial(PolicyMLP, width=16, layers=1, context=16)
    loop = renewal(Unguided(method))
    fitted(BESO(net=net, history=2), loop)
    assert [facts["generation"] for facts in loop.history] == [0, 1, 2]


def test_the_batch_size_of_synthesis_changes_nothing_beyond_rounding(method):
    seen = []
    for batch_size in (None, 3):
        watch = Watch()
        fitted(LEARNERS["iql"](), renewal(Unguided(method), batch_size=batch_size), watch)
        seen.append(watch)
    for one, other in zip(seen[0].batches, seen[1].batches, strict=True):
        for name in ("observations", "actions", "rewards", "next_observations", "terminated"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=1e-4, rtol=1e-4)


def test_generations_and_seeds_differ(method):
    def data(seed: int) -> list[torch.Tensor]:
        loop = renewal(Unguided(method), lifetime=3, seed=seed)
        fitted(LEARNERS["bc"](), loop)
        return [tensors["observations/"] for tensors in loop.state_dict()["alive"].values()]

    one, other, again = data(0), data(1), data(0)
    assert len(one) == 3
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[0], one[1])


@pytest.mark.parametrize("name", ["td3bc", "iql"])
def test_resumed_anywhere_the_weights_are_the_same(name, method, tmp_path):
    whole, loop = LEARNERS[name](), renewal(PolicyMarked(method), lifetime=2)
    fitted(whole, loop, folder=tmp_path)
    for step in (2, EVERY, PER_EPOCH, 2 * EVERY - 1, 2 * EVERY + 1):
        resumed, again = LEARNERS[name](), renewal(PolicyMarked(method), lifetime=2)
        fitted(resumed, again, ckpt_path=tmp_path / f"step={step}.ckpt")
        assert equal_weights(whole, resumed)
        assert [facts["generation"] for facts in again.history] == [0, 1, 2]


class PolicyMarked(Unguided):
    """Rewards that depend on the learner's weights, so that a generation of another policy cannot go unnoticed."""

    def __call__(self, learner, generation: int) -> Method:
        return Rewarding(self.method, float(sum(parameter.sum() for parameter in learner.parameters())))


@pytest.mark.parametrize("during", [False, True], ids=["between", "during"])
def test_a_killed_process_resumes_to_the_same_weights(during, method, tmp_path):
    """SIGKILL between two renewals, or in the middle of one; a second process goes on from the last checkpoint."""
    stored, whole = save(method, tmp_path / "method.ckpt"), LEARNERS["td3bc"]()
    fitted(whole, renewal(PolicyMarked(method)))
    code = f"from tests.synthesis.test_renewal import slow_fit; slow_fit({str(tmp_path)!r}, {during})"
    kill_once_there(code, tmp_path / ("renewing" if during else f"step={EVERY + 2}.ckpt"))
    found = sorted(tmp_path.glob("step=*.ckpt"), key=lambda path: int(path.stem.partition("=")[2]))
    assert len(found) == EVERY if during else EVERY < len(found) < STEPS
    resumed = LEARNERS["td3bc"]()
    last = found[-1] if during else found[-2]  # the last may be half-written
    fitted(resumed, renewal(FromFile(stored)), ckpt_path=last)
    assert equal_weights(whole, resumed)


class FromFile(PolicyMarked):
    """``PolicyMarked`` with a checkpoint."""

    def __call__(self, learner, generation: int) -> Method:
        Unguided.__call__(self, learner, generation)
        return super().__call__(learner, generation)


def slow_fit(folder: str, during: bool) -> None:
    """Slow enough to be killed in the middle: of its second renewal, or of the updates after it."""

    class Slow(Callback):
        def on_train_batch_end(self, *_) -> None:
            time.sleep(0.1)

    class SlowSource(FromFile):
        def __call__(self, learner, generation: int) -> Method:
            if during and generation == 1:
                (Path(folder) / "renewing").touch()
                time.sleep(60)
            return super().__call__(learner, generation)

    torch.set_num_threads(1)
    loop = renewal(SlowSource(Path(folder) / "method.ckpt"))
    fitted(LEARNERS["td3bc"](), loop, Slow(), folder=Path(folder))


def test_another_fit_with_the_same_callback_begins_anew(method):
    loop, one, other = renewal(PolicyMarked(method)), LEARNERS["td3bc"](), LEARNERS["td3bc"]()
    fitted(one, loop)
    history = copy.deepcopy(loop.history)
    fitted(other, loop)
    assert equal_weights(one, other)
    assert [facts["mean_return"] for facts in history] == [facts["mean_return"] for facts in loop.history]


def test_unfit_settings_are_refused(method, tmp_path):
    for settings, reason in (
        ({"every": 0}, "every of a Renewal must be at least 1, not 0"),
        ({"transitions": 0}, "transitions of a Renewal"),
        ({"lifetime": 0}, "lifetime of a Renewal"),
        ({"block_size": 0}, "block_size of a Renewal"),
        ({"batch_size": -1}, "batch_size of a Renewal must be at least 1, not -1"),
        ({"length": 0}, "length of a Renewal"),
        ({"real_fraction": 1.1}, "from 0 to 1, not 1.1"),
        ({"real_fraction": -0.1}, "from 0 to 1, not -0.1"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            renewal(Unguided(method), **settings)
    with pytest.raises(ConfigurationError, match=r"\d rows of a batch are synthetic, .* of each of 99 generations"):
        fitted(LEARNERS["bc"](), renewal(Unguided(method), lifetime=99))
    other = fit(METHODS["trajectory-mlp"](), walks(), 2, progress=False)
    with pytest.raises(ConfigurationError, match="fitted to data of the same environment"):
        fitted(LEARNERS["bc"](), renewal(Unguided(other)))
    with pytest.raises(ConfigurationError, match="was never fitted"):
        fitted(LEARNERS["bc"](), renewal(Unguided(METHODS["trajectory-mlp"]())))
    with pytest.raises(ConfigurationError, match="TrajectoryDiffusion has none"):
        fitted(METHODS["trajectory-mlp"](), renewal(Unguided(method)))
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        fitted(LEARNERS["bc"](), renewal(Unguided(tmp_path / "missing.ckpt")))
    stored = save(fit(LEARNERS["bc"](), linear(), 2, progress=False), tmp_path / "bc.ckpt")
    with pytest.raises(CheckpointError, match=r"needs a Method here, not the BC at .*bc\.ckpt"):
        fitted(LEARNERS["bc"](), renewal(Unguided(stored)))


def test_data_that_are_not_finite_stop_the_fit(method):
    with pytest.raises(NonFiniteError, match="generation 0"):
        fitted(LEARNERS["bc"](), renewal(lambda learner, generation: Rewarding(method, float("nan"))))
