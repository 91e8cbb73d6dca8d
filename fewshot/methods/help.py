"""What the help of every study says of methods beyond its own."""

from __future__ import annotations

import textwrap
from collections.abc import Collection

from fewshot.baselines.numpy_net import nets
from fewshot.learners.contract import ensembles, settings_of, wrappers
from fewshot.methods.catalogue import methods
from fewshot.methods.specification import FIELDS
from fewshot.models import networks
from fewshot.training.recipe import recipes


def notes(listed: Collection[str]) -> str:
    """Return what the help of every study says of further methods, beside those that it lists."""
    more = ", ".join(name for name in methods if name not in listed and "+" not in name)
    wrapped = f"\n{' ' * 8}".join([*map(_wrapper, wrappers), *map(_ensemble, ensembles)])
    return textwrap.dedent(f"""
        further methods, in every study:
        {textwrap.fill(more, 100, subsequent_indent=" " * 8, break_on_hyphens=False)}

        NAME:setting=value,…   a method with other switches, or trained otherwise
            switches of the baseline: {", ".join(networks.switches("baseline"))}
            of those in NumPy: {", ".join(nets.switches("numpy-conv32"))} (of convolutions)
            of every recipe: {", ".join(FIELDS)}
            recipe=NAME: {", ".join(recipes)}; offline=EXPRESSION: flip, crop, …
        imagenet/BACKBONE@SIZE+BACKBONE…:head=NAME,…   a head on frozen features
        {wrapped}
        """).replace("\n", "\n  ")


def _wrapper(name: str) -> str:
    settings = ", ".join(settings_of(wrappers[name].make)[0])
    return f"NAME:{name}=…   {wrappers[name].summary}\n{' ' * 12}{settings}"


def _ensemble(name: str) -> str:
    settings = ", ".join(settings_of(ensembles[name].make)[0])
    summary = ensembles[name].summary
    return f"'{name}(NAME, NAME:setting=value, …):…'   {summary}\n{' ' * 12}{settings}; weights: 0.3*NAME"
