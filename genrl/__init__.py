"""Synthesise trajectories with generative models for offline reinforcement learning.

What most people need, by one import. Each name is loaded when it is first asked for, so ``import genrl`` costs nothing;
everything else is imported from its own module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # each name under its own, so that type checkers take it for exported
    from genrl.data.alone import Alone as Alone
    from genrl.data.arrays import to_transitions as to_transitions
    from genrl.data.collect import collect as collect
    from genrl.data.conditions import Conditions as Conditions
    from genrl.data.environments import make_env as make_env
    from genrl.data.episodes import Episodes as Episodes
    from genrl.data.info import info as info
    from genrl.data.store import load as load_dataset
    from genrl.data.store import save as save_dataset
    from genrl.data.verify import verify as verify
    from genrl.data.waypoint import WaypointPolicy as WaypointPolicy
    from genrl.diffusion.guidance import Posterior as Posterior
    from genrl.diffusion.guidance import Published as Published
    from genrl.diffusion.sampling import FlowSampling as FlowSampling
    from genrl.diffusion.scheduler_sampling import SchedulerSampling as SchedulerSampling
    from genrl.evaluation.dynamics_error import dynamics_error as dynamics_error
    from genrl.evaluation.evaluate import evaluate as evaluate
    from genrl.evaluation.guidance_plots import frontier as frontier
    from genrl.evaluation.guidance_plots import guidance_strength as guidance_strength
    from genrl.evaluation.learning_curve import LearningCurve as LearningCurve
    from genrl.evaluation.likelihood import policy_likelihood as policy_likelihood
    from genrl.evaluation.plots import trajectories as plot
    from genrl.evaluation.quality import quality_report as report
    from genrl.evaluation.replay import replay as replay
    from genrl.evaluation.simulated import Simulated as Simulated
    from genrl.gflownets.explorer import Explorer as Explorer
    from genrl.gflownets.objects import ObjectSet as ObjectSet
    from genrl.learners.bc import BC as BC
    from genrl.learners.behavior_transformer import BehaviorTransformer as BehaviorTransformer
    from genrl.learners.beso import BESO as BESO
    from genrl.learners.cql import CQL as CQL
    from genrl.learners.decision_transformer import DecisionTransformer as DecisionTransformer
    from genrl.learners.doc import DoC as DoC
    from genrl.learners.flow_policy import FlowPolicy as FlowPolicy
    from genrl.learners.future_vae import FutureVAE as FutureVAE
    from genrl.learners.gcbc import GCBC as GCBC
    from genrl.learners.iql import IQL as IQL
    from genrl.learners.latent_plan import LatentPlanPolicy as LatentPlanPolicy
    from genrl.learners.latents import CategoricalLatent as CategoricalLatent
    from genrl.learners.latents import GaussianLatent as GaussianLatent
    from genrl.learners.outcomes import Surprises as Surprises
    from genrl.learners.percent_bc import PercentBC as PercentBC
    from genrl.learners.rvs import RvS as RvS
    from genrl.learners.sac import SAC as SAC
    from genrl.learners.sequence_bc import SequenceBC as SequenceBC
    from genrl.learners.td3bc import TD3BC as TD3BC
    from genrl.methods.amortised_gfn import AmortisedGFN as AmortisedGFN
    from genrl.methods.converted_gfn import ConvertedGFN as ConvertedGFN
    from genrl.methods.diffusion_world_model import DiffusionWorldModel as DiffusionWorldModel
    from genrl.methods.flow_network import FlowNetwork as FlowNetwork
    from genrl.methods.gta import GTA as GTA
    from genrl.methods.imagination import Imagination as Imagination
    from genrl.methods.imagined_futures import ImaginedFutures as ImaginedFutures
    from genrl.methods.imagined_play import ImaginedPlay as ImaginedPlay
    from genrl.methods.mbrcsl import MBRCSL as MBRCSL
    from genrl.methods.ocgfn import OCGFN as OCGFN
    from genrl.methods.outcome_plans import OutcomePlans as OutcomePlans
    from genrl.methods.pessimistic_imagination import PessimisticImagination as PessimisticImagination
    from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion as PolicyGuidedDiffusion
    from genrl.methods.sampling import Sampling as Sampling
    from genrl.methods.steered import Guidance as Guidance
    from genrl.methods.tokens import Bins as Bins
    from genrl.methods.tokens import Clusters as Clusters
    from genrl.methods.tokens import Tokens as Tokens
    from genrl.methods.trajectory_diffusion import TrajectoryDiffusion as TrajectoryDiffusion
    from genrl.methods.transition_diffusion import TransitionDiffusion as TransitionDiffusion
    from genrl.methods.value_guided_diffusion import ValueGuidedDiffusion as ValueGuidedDiffusion
    from genrl.methods.world_model import WorldModel as WorldModel
    from genrl.nets.window_mlp import WindowMLP as WindowMLP
    from genrl.synthesis.generate import Plan as Plan
    from genrl.synthesis.generate import sample as sample
    from genrl.synthesis.renewal import Renewal as Renewal
    from genrl.synthesis.sources import Guided as Guided
    from genrl.synthesis.sources import Imagined as Imagined
    from genrl.synthesis.sources import Pessimistic as Pessimistic
    from genrl.synthesis.sources import Unguided as Unguided
    from genrl.synthesis.synthesize import synthesize as synthesize
    from genrl.training.checkpoint import load as load
    from genrl.training.checkpoint import save as save
    from genrl.training.fit import fit as fit

    __all__ = ["load_dataset", "plot", "report", "save_dataset"]  # those of another name in their modules

_HOMES = {
    # data sets
    "load_dataset": "genrl.data.store:load",
    "save_dataset": "genrl.data.store:save",
    "to_transitions": "genrl.data.arrays:to_transitions",
    "collect": "genrl.data.collect:collect",
    "info": "genrl.data.info:info",
    "verify": "genrl.data.verify:verify",
    "Episodes": "genrl.data.episodes:Episodes",
    "make_env": "genrl.data.environments:make_env",
    "Alone": "genrl.data.alone:Alone",
    "WaypointPolicy": "genrl.data.waypoint:WaypointPolicy",
    # methods and learners
    "fit": "genrl.training.fit:fit",
    "load": "genrl.training.checkpoint:load",
    "save": "genrl.training.checkpoint:save",
    "TrajectoryDiffusion": "genrl.methods.trajectory_diffusion:TrajectoryDiffusion",
    "TransitionDiffusion": "genrl.methods.transition_diffusion:TransitionDiffusion",
    "WorldModel": "genrl.methods.world_model:WorldModel",
    "DiffusionWorldModel": "genrl.methods.diffusion_world_model:DiffusionWorldModel",
    "WindowMLP": "genrl.nets.window_mlp:WindowMLP",
    "BC": "genrl.learners.bc:BC",
    "GCBC": "genrl.learners.gcbc:GCBC",
    "Surprises": "genrl.learners.outcomes:Surprises",
    "TD3BC": "genrl.learners.td3bc:TD3BC",
    "IQL": "genrl.learners.iql:IQL",
    "SAC": "genrl.learners.sac:SAC",
    "CQL": "genrl.learners.cql:CQL",
    "PercentBC": "genrl.learners.percent_bc:PercentBC",
    "RvS": "genrl.learners.rvs:RvS",
    "DecisionTransformer": "genrl.learners.decision_transformer:DecisionTransformer",
    # learners of latent futures
    "DoC": "genrl.learners.doc:DoC",
    "FutureVAE": "genrl.learners.future_vae:FutureVAE",
    "CategoricalLatent": "genrl.learners.latents:CategoricalLatent",
    "GaussianLatent": "genrl.learners.latents:GaussianLatent",
    # policies over windows of play
    "BESO": "genrl.learners.beso:BESO",
    "FlowPolicy": "genrl.learners.flow_policy:FlowPolicy",
    "SequenceBC": "genrl.learners.sequence_bc:SequenceBC",
    "LatentPlanPolicy": "genrl.learners.latent_plan:LatentPlanPolicy",
    "BehaviorTransformer": "genrl.learners.behavior_transformer:BehaviorTransformer",
    # agents that lead methods
    "Guidance": "genrl.methods.steered:Guidance",
    "Posterior": "genrl.diffusion.guidance:Posterior",
    "Published": "genrl.diffusion.guidance:Published",
    "PolicyGuidedDiffusion": "genrl.methods.policy_guided_diffusion:PolicyGuidedDiffusion",
    "ValueGuidedDiffusion": "genrl.methods.value_guided_diffusion:ValueGuidedDiffusion",
    "GTA": "genrl.methods.gta:GTA",
    "Imagination": "genrl.methods.imagination:Imagination",
    "PessimisticImagination": "genrl.methods.pessimistic_imagination:PessimisticImagination",
    "MBRCSL": "genrl.methods.mbrcsl:MBRCSL",
    "ImaginedFutures": "genrl.methods.imagined_futures:ImaginedFutures",
    "ImaginedPlay": "genrl.methods.imagined_play:ImaginedPlay",
    # objects built step by step
    "OCGFN": "genrl.methods.ocgfn:OCGFN",
    "Explorer": "genrl.gflownets.explorer:Explorer",
    "ConvertedGFN": "genrl.methods.converted_gfn:ConvertedGFN",
    "FlowNetwork": "genrl.methods.flow_network:FlowNetwork",
    "AmortisedGFN": "genrl.methods.amortised_gfn:AmortisedGFN",
    "ObjectSet": "genrl.gflownets.objects:ObjectSet",
    # plans by outcome
    "OutcomePlans": "genrl.methods.outcome_plans:OutcomePlans",
    "Tokens": "genrl.methods.tokens:Tokens",
    "Bins": "genrl.methods.tokens:Bins",
    "Clusters": "genrl.methods.tokens:Clusters",
    "Simulated": "genrl.evaluation.simulated:Simulated",
    # synthetic data renewed while a learner is fitted
    "Renewal": "genrl.synthesis.renewal:Renewal",
    "Guided": "genrl.synthesis.sources:Guided",
    "Unguided": "genrl.synthesis.sources:Unguided",
    "Imagined": "genrl.synthesis.sources:Imagined",
    "Pessimistic": "genrl.synthesis.sources:Pessimistic",
    # synthesis
    "sample": "genrl.synthesis.generate:sample",
    "synthesize": "genrl.synthesis.synthesize:synthesize",
    "Plan": "genrl.synthesis.generate:Plan",
    "Conditions": "genrl.data.conditions:Conditions",
    "Sampling": "genrl.methods.sampling:Sampling",
    "FlowSampling": "genrl.diffusion.sampling:FlowSampling",
    "SchedulerSampling": "genrl.diffusion.scheduler_sampling:SchedulerSampling",
    # evaluation
    "dynamics_error": "genrl.evaluation.dynamics_error:dynamics_error",
    "evaluate": "genrl.evaluation.evaluate:evaluate",
    "frontier": "genrl.evaluation.guidance_plots:frontier",
    "guidance_strength": "genrl.evaluation.guidance_plots:guidance_strength",
    "LearningCurve": "genrl.evaluation.learning_curve:LearningCurve",
    "plot": "genrl.evaluation.plots:trajectories",
    "policy_likelihood": "genrl.evaluation.likelihood:policy_likelihood",
    "replay": "genrl.evaluation.replay:replay",
    "report": "genrl.evaluation.quality:quality_report",
}


if not TYPE_CHECKING:  # type checkers would take it for any name at all
    __all__ = sorted(_HOMES)

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'genrl' has no attribute '{name}'; it offers {', '.join(sorted(_HOMES))}")
        module, _, attribute = _HOMES[name].partition(":")
        value = globals()[name] = getattr(import_module(module), attribute)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
