"""The named methods, a file a family; tables show them in this order."""

# ruff: noqa: I001, F401
from __future__ import annotations
from fewshot.methods.named import networks
from fewshot.methods.named import augmentation
from fewshot.methods.named import architectures
from fewshot.methods.named import whole
from fewshot.methods.named import backbones
from fewshot.methods.named import hub
from fewshot.methods.named import transfer
from fewshot.methods.named import synthetic
from fewshot.methods.named import pixels
from fewshot.methods.named import ensembles
