"""Decorators that add a definition of one's own: what is registered is a method, or part of one, at once.

    @fs.register_network("mine", least_size=8)
    def mine(shape, outputs, *, width=32):
        ...
        return keras.Model(inputs, logits)

    fs.run(["baseline", "mine", "mine:width=64"])

Definitions of a notebook or script are identified by their source: after an edit, their trials are computed
anew. A cell that runs again replaces what it registered. A name that is taken is a `ValueError`.
"""

from __future__ import annotations

from fewshot.augment.offline import expansions
from fewshot.augment.online import policies
from fewshot.backbones import backbones
from fewshot.baselines import estimators
from fewshot.data.catalogue import datasets
from fewshot.data.protocols import protocols
from fewshot.learners.contract import learners
from fewshot.models import networks
from fewshot.training.optimizers import optimizers
from fewshot.training.recipe import recipes
from fewshot.trials.trackers import trackers

register_backbone = backbones.register
register_dataset = datasets.register
register_estimator = estimators.register
register_learner = learners.register
register_network = networks.register
register_offline = expansions.register
register_online = policies.register
register_optimizer = optimizers.register
register_protocol = protocols.register
register_recipe = recipes.register
register_tracker = trackers.register
