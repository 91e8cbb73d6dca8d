"""Tiny random presets, made in the test, in the forms of KerasHub and of Hugging Face."""

import json

import numpy as np

SIDE, PATCH = 32, 8
SMALL = {"patch_size": PATCH, "hidden_dim": 16, "num_layers": 1, "num_heads": 2, "intermediate_dim": 32}
TEXT = {"vocabulary_size": 20, "embedding_dim": 16, "hidden_dim": 16, "num_layers": 1, "num_heads": 2}
TEXT |= {"intermediate_dim": 32, "max_sequence_length": 8}
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
KINDS = ("dinov2", "dinov2-gated", "dinov3", "vit", "deit", "clip", "metaclip", "siglip", "resnet")


def network(kind):
    """Return a tiny network of KerasHub with random weights, and its converter's class."""
    from keras_hub import layers, models

    shape = {"image_shape": (SIDE, SIDE, 3)}
    grown = {**shape, "position_embedding_shape": (48, 48)}
    vit = {**shape, **SMALL, "mlp_dim": 32}
    del vit["intermediate_dim"]

    def pair(name, **text):
        vision = getattr(models, f"{name}VisionEncoder")(**shape, **SMALL, name="vision")
        return vision, getattr(models, f"{name}TextEncoder")(**TEXT, **text, name="text")

    makes = {
        "dinov2": lambda: models.DINOV2Backbone(**grown, **SMALL, num_register_tokens=2),
        "dinov2-gated": lambda: models.DINOV2Backbone(**grown, **SMALL, use_swiglu_ffn=True),
        "dinov3": lambda: models.DINOV3Backbone(**shape, **SMALL),
        "vit": lambda: models.ViTBackbone(**vit),
        "deit": lambda: models.DeiTBackbone(**shape, **SMALL),
        "clip": lambda: models.CLIPBackbone(*pair("CLIP"), 12),
        "metaclip": lambda: models.MetaCLIP2Backbone(*pair("MetaCLIP2"), 12),
        "siglip": lambda: models.SigLIPBackbone(*pair("SigLIP", projection_dim=16)),
        "swin": lambda: models.SwinTransformerBackbone(
            **shape, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
        ),
        "resnet": lambda: models.ResNetBackbone([64], [7], [64, 64], [1, 1], [1, 2], "basic_block"),
    }
    made = makes[kind]()
    random = np.random.default_rng(0)
    for variable in made.weights:
        if variable.dtype == "float32" and kind != "resnet":
            variable.assign(random.normal(0, 0.2, variable.shape).astype("float32"))
    spelled = type(made).__name__.removesuffix("Backbone")
    return made, getattr(layers, f"{spelled}ImageConverter")


def keras_form(folder, kind="dinov2"):
    """Write a preset of KerasHub to a folder, and return it."""
    made, converter = network(kind)
    made.save_to_preset(str(folder))
    scale, offset = [1 / 255 / s for s in STD], [-m / s for m, s in zip(MEAN, STD, strict=True)]
    converter(image_size=(SIDE, SIDE), scale=scale, offset=offset, interpolation="bicubic").save_to_preset(
        str(folder)
    )
    return folder


def hugging_face_form(folder):
    """Write a tiny DINOv2 as Hugging Face's transformers would, and return the folder."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    config = {
        "model_type": "dinov2",
        "image_size": 48,
        "patch_size": PATCH,
        "hidden_size": 16,
        "mlp_ratio": 2,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "layerscale_value": 1.0,
        "use_swiglu_ffn": False,
        "hidden_dropout_prob": 0.0,
        "drop_path_rate": 0.0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    said = {"image_mean": MEAN, "image_std": STD, "rescale_factor": 1 / 255, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    shapes = {
        "embeddings.cls_token": (1, 1, 16),
        "embeddings.mask_token": (1, 16),
        "embeddings.position_embeddings": (1, 37, 16),
        "embeddings.patch_embeddings.projection.weight": (16, 3, PATCH, PATCH),
        "embeddings.patch_embeddings.projection.bias": (16,),
        "layernorm.weight": (16,),
        "layernorm.bias": (16,),
    }
    for block in ["encoder.layer.0"]:
        for part in ("attention.attention.query", "attention.attention.key", "attention.attention.value"):
            shapes |= {f"{block}.{part}.weight": (16, 16), f"{block}.{part}.bias": (16,)}
        shapes |= {f"{block}.attention.output.dense.weight": (16, 16)}
        shapes |= {f"{block}.attention.output.dense.bias": (16,)}
        shapes |= {f"{block}.mlp.fc1.weight": (32, 16), f"{block}.mlp.fc1.bias": (32,)}
        shapes |= {f"{block}.mlp.fc2.weight": (16, 32), f"{block}.mlp.fc2.bias": (16,)}
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}.{norm}.weight": (16,), f"{block}.{norm}.bias": (16,)}
        for scale in ("layer_scale1", "layer_scale2"):
            shapes |= {f"{block}.{scale}.lambda1": (16,)}
    random = np.random.default_rng(0)
    save_file(
        {name: random.normal(0, 0.2, shape).astype("float32") for name, shape in shapes.items()},
        folder / "model.safetensors",
    )
    return folder


def own_features(folder, images, pool="class", side=SIDE):
    """Return what KerasHub itself makes of images (N, side, side, 3), pooled as its users do."""
    import keras_hub

    config = (folder / "config.json").read_text().lower()
    shape = {"image_shape": (side, side, 3)} if "dino" in config else {}
    loaded = keras_hub.models.Backbone.from_preset(str(folder), **shape)
    pixels = ((images / 255 - np.array(MEAN)) / np.array(STD)).astype("float32")
    if hasattr(loaded, "get_vision_embeddings"):
        return np.array(loaded.get_vision_embeddings(pixels))
    wanted = loaded.input
    outputs = np.array(loaded({next(iter(wanted)): pixels} if isinstance(wanted, dict) else pixels))
    if outputs.ndim == 4 or "Swin" in type(loaded).__name__:
        return outputs.mean(tuple(range(1, outputs.ndim - 1)))
    prefix = 1 + getattr(loaded, "num_register_tokens", 1 if "DeiT" in type(loaded).__name__ else 0)
    parts = {"class": outputs[:, 0], "mean": outputs[:, prefix:].mean(1)}
    return np.concatenate(list(parts.values()), 1) if pool == "both" else parts[pool]
