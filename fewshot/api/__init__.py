"""The Python face: what `import fewshot as fs` hands out. It asks; what is left open, the plan decides."""
