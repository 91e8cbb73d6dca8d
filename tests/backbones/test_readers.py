"""Weight files of every kind: read right, and refused where they are damaged, malicious or absurd."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest

from fewshot.backbones import readers, torch_files
from fewshot.backbones.readers import read
from fewshot.errors import FewshotError

KERNEL = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
BIAS = np.array([1.5, -2.0], np.float32)


class Named:
    """Pickles as the name of a function or a class of another module."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


class Reference:
    """Pickles as a storage."""

    def __init__(self, key, numel, kind="FloatStorage"):
        self.saved = (Named("torch", kind), key, "cpu", numel)


class Module:
    """Pickles as a module of a TorchScript: made without arguments, then given what it holds."""

    make = pickle.EMPTY_TUPLE + pickle.NEWOBJ

    def __init__(self, _class="__torch__.block.___torch_mangle_0 Conv", **state):
        self.name, self.state = Named(*_class.split()), {"training": False, **state}


class TorchPickler(pickle._Pickler):
    """Writes what `torch.save` writes, without torch."""

    def persistent_id(self, obj):
        return ("storage", *obj.saved, *self.rest) if isinstance(obj, Reference) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)

    def save_call(self, obj):
        self.save(obj.function)
        self.save(obj.args)
        self.write(pickle.REDUCE)

    def save_module(self, obj):
        self.save(obj.name)
        self.write(obj.make)
        self.memoize(obj)
        self.save(obj.state)
        self.write(pickle.BUILD)

    dispatch = {**pickle._Pickler.dispatch, Call: save_call, Module: save_module}  # noqa: RUF012


def dumps(obj, rest=()):
    stream = io.BytesIO()
    pickler = TorchPickler(stream, 2)
    pickler.rest = rest
    pickler.dump(obj)
    return stream.getvalue()


def tensor(key, numel, size, stride, offset=0, kind="FloatStorage"):
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, Reference(key, numel, kind), offset, size, stride, False, OrderedDict())


def state():
    return OrderedDict(kernel=tensor("7", 24, (2, 3, 4), (12, 4, 1)), bias=tensor("8", 2, (2,), (1,)))


def as_zip(state, storages, names=("archive/data.pkl", "archive/data/"), others=()):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in others:
            archive.writestr(f"archive/{name}", content)
        archive.writestr(names[0], dumps(state))
        for key, raw in storages.items():
            archive.writestr(names[1] + key, raw)
    return stream.getvalue()


def as_script(module, storages):
    code = ("code/__torch__/block.py", "raise SystemExit('it was run')")
    return as_zip(module, storages, others=[code, ("constants.pkl", dumps(()))])


def as_legacy(state, storages, numel=None):
    parts = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2)]
    parts += [pickle.dumps({"little_endian": True}, 2), dumps(state, rest=(None,))]
    parts.append(pickle.dumps(list(storages), 2))
    for raw in storages.values():
        parts += [struct.pack("<q", len(raw) // 4 if numel is None else numel), raw]
    return b"".join(parts)


def as_keras2(path):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"block/conv"]
        file["block/conv/block/conv/kernel:0"] = KERNEL
        file["block/conv/block/conv/bias:0"] = BIAS
    return path.read_bytes()


def as_tfjs():
    weights = [
        {"name": name, "shape": list(array.shape), "dtype": "float32"}
        for name, array in (("kernel", KERNEL), ("bias", BIAS))
    ]
    return {"weightsManifest": [{"paths": ["s1.bin", "s2.bin"], "weights": weights}]}


RAW = {"7": KERNEL.tobytes(), "8": BIAS.tobytes()}
SHARDS = KERNEL.tobytes() + BIAS.tobytes()
FORMS = {
    "legacy": lambda: as_legacy(state(), RAW),
    "zip": lambda: as_zip(state(), RAW),
    "script": lambda: as_script(Module(**state()), RAW),
    "tfjs": lambda: json.dumps(as_tfjs()).encode() + SHARDS,
    "pickle": lambda: pickle.dumps({"kernel": KERNEL, "bias": BIAS}, 2),
}


@pytest.fixture
def file(tmp_path):
    """Write a weight file; return its path."""

    def write(content):
        path = tmp_path / "weights"
        path.write_bytes(content)
        return path

    return write


def refuse(path, words):
    with pytest.raises(FewshotError, match=words) as error:
        read(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_arrays(form, file):
    arrays = read(file(FORMS[form]()))
    assert set(arrays) == {"kernel", "bias"}
    np.testing.assert_array_equal(arrays["kernel"], KERNEL)
    np.testing.assert_array_equal(arrays["bias"], BIAS)
    assert arrays["kernel"].dtype == np.float32


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_short_is_refused_wherever_it_ends(form, file):
    content = FORMS[form]()
    for end in range(0, len(content) - 1, max(1, len(content) // 40)):
        refuse(file(content[:end]), "cannot read the weights")


def test_what_modules_within_modules_hold_is_named_by_dots(file):
    padding = Call(Named("torch.jit._pickle", "build_intlist"), [0, 3])
    conv = Module("__torch__.torch.nn.modules.conv Conv2d", weight=state()["kernel"], padding=padding)
    arrays = read(file(as_script(Module(net=Module(conv_1=conv), bias=state()["bias"]), RAW)))
    assert set(arrays) == {"net.conv_1.weight", "bias"}
    np.testing.assert_array_equal(arrays["net.conv_1.weight"], KERNEL)
    refuse(file(as_zip(Module(**state()), RAW)), "asks for __torch__")  # in no other file


def test_strange_modules_are_refused(file):
    endless, empty = Module(), Module()
    endless.state["again"] = endless
    empty.state = {}
    many = Module(**state())
    for _ in range(50):  # 2 to the 50 names
        many = Module(a=many, b=many)
    for strange in (endless, empty, many, {"a": Module(**state())}, state(), 3):
        refuse(file(as_script(strange, RAW)), "no module where one should be|a dict instead")
    holder = Module()
    holder.state = [("weight", 1)]
    refuse(file(as_script(holder, RAW)), "no module where one should be")


def test_views_are_honoured(file):
    views = {
        "transposed": tensor("7", 24, (4, 6), (1, 4)),
        "inner": tensor("7", 24, (2, 2), (12, 1), offset=5),
        "number": tensor("7", 24, (), (), offset=23),
        "none": tensor("7", 24, (0, 3), (3, 1)),
        "epoch": 3,  # what is no tensor is left out
    }
    for content in (as_zip(views, {"7": RAW["7"]}), as_legacy(views, {"7": RAW["7"]})):
        arrays = read(file(content))
        np.testing.assert_array_equal(arrays["transposed"], KERNEL.reshape(6, 4).T)
        np.testing.assert_array_equal(arrays["inner"], [[5, 6], [17, 18]])
        assert arrays["number"] == 23
        assert arrays["none"].shape == (0, 3)
        assert "epoch" not in arrays


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("HalfStorage", np.float16([1.5]), 1.5),
        ("BFloat16Storage", b"\xc0\x3f", 1.5),
        ("DoubleStorage", np.float64([0.1]), 0.1),
        ("LongStorage", np.int64([-7]), -7),
        ("BoolStorage", b"\1", True),
    ],
)
def test_types(kind, raw, value, file):
    content = as_zip({"a": tensor("0", 1, (1,), (1,), kind=kind)}, {"0": bytes(raw)})
    assert read(file(content))["a"][0] == value


@pytest.mark.parametrize(
    "claim",
    [
        tensor("7", 10**12, (10**12,), (1,)),
        tensor("7", -1, (2,), (1,)),
        tensor("7", 24, (10**6, 10**6), (0, 0)),
        tensor("7", 24, (24,), (2,)),
        tensor("7", 24, (2,), (-1,)),
        tensor("7", 24, (2,), (1,), offset=-4),
        tensor("7", 24, (2,), (1,), offset=23),
        tensor("7", 24, (2, 2), (1,)),
        tensor("7", 24, "ab", (1, 1)),
        tensor("7", 24.0, (2,), (1,)),
        tensor("../../escaped", 24, (2,), (1,)),
    ],
)
def test_absurd_tensors_are_refused(claim, file):
    refuse(file(as_zip({"a": claim}, {"7": RAW["7"]})), "cannot read")
    refuse(file(as_legacy({"a": claim}, {"7": RAW["7"]})), "cannot read")
    refuse(file(as_legacy({"a": claim}, {"7": RAW["7"]}, numel=10**12)), "cannot read")


@pytest.mark.parametrize("form", ["legacy", "zip", "script", "pickle", "nested legacy", "protocol 4"])
def test_a_malicious_pickle_is_not_executed(form, file, tmp_path):
    victim = tmp_path / "victim"
    attack = Call(Named(os.system.__module__, "system"), f"touch '{victim}'")
    content = {
        "legacy": lambda: as_legacy({"a": attack}, {}),
        "zip": lambda: as_zip({"a": attack}, {}),
        "script": lambda: as_script(Module(a=Module(), b=attack), {}),
        "pickle": lambda: dumps({"a": attack}),
        "nested legacy": lambda: as_legacy(OrderedDict(a=tensor("7", 24, attack, (1,))), RAW),
        # A dotted name would reach through an allowed class.
        "protocol 4": lambda: b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93\x8c\x01a\x85R.",
    }[form]()
    refuse(file(content), "asks for")
    assert not victim.exists()


@pytest.mark.parametrize("module", ["__torch__", "__torch__x", "torch", "torch.jit._pickle", "builtins"])
def test_only_the_classes_of_a_script_itself_are_stood_for(module, file):
    refuse(file(as_script(Module(f"{module} system"), {})), f"asks for {module}.system")


def test_the_class_that_stands_for_modules_does_nothing(file, tmp_path):
    victim, system = tmp_path / "victim", Named("__torch__.posix", "system")
    refuse(file(as_script(Module(a=Call(system, f"touch '{victim}'")), {})), "takes no arguments")
    assert not victim.exists()
    before, never_made = dict(vars(torch_files._Module)), Module(state={"a": 1})
    never_made.make = b""  # what it holds is meant for the class
    refuse(file(as_script(never_made, {})), "missing 1 required positional argument")
    assert dict(vars(torch_files._Module)) == before


def test_the_magic_number_can_be_followed_by_malice(file, tmp_path):
    victim = tmp_path / "victim"
    attack = dumps(Call(Named(os.system.__module__, "system"), f"touch '{victim}'"))
    refuse(file(torch_files.MAGIC + attack), "asks for")
    assert not victim.exists()


def test_a_zip_bomb_and_a_strange_zip_are_refused(file, monkeypatch):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2_000_000))
    monkeypatch.setattr(readers, "LARGEST_DOWNLOAD", 1_000_000)
    refuse(file(stream.getvalue()), "unpacked it is larger")
    refuse(file(as_zip({}, {}, names=("data.pickle", ""))), "zip archive without weights")


def test_keras_files_of_both_kinds(tmp_path):
    as_keras2(tmp_path / "old.h5")
    arrays = read(tmp_path / "old.h5")
    np.testing.assert_array_equal(arrays["block/conv/kernel"], KERNEL)
    np.testing.assert_array_equal(arrays["block/conv/bias"], BIAS)
    with zipfile.ZipFile(tmp_path / "new.keras", "w") as archive:
        # A configuration with code in it is never looked at.
        archive.writestr("config.json", json.dumps({"class_name": "Lambda", "config": "os.system('false')"}))
        with h5py.File(tmp_path / "vars.h5", "w") as file:
            file["layers/conv2d/vars/0"] = KERNEL
        archive.writestr("model.weights.h5", (tmp_path / "vars.h5").read_bytes())
    np.testing.assert_array_equal(read(tmp_path / "new.keras")["layers/conv2d/vars/0"], KERNEL)


def test_hdf5_files_reach_nothing_outside_and_take_no_memory_they_claim(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(96))
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("a", (24,), "<f4", external=[(str(tmp_path / "secret"), 0, 96)])
    refuse(tmp_path / "external.h5", "lies in another file")
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("a", (10**12,), "<f4", chunks=(1000,))
    refuse(tmp_path / "huge.h5", "arrays take more than")
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["a"] = h5py.ExternalLink(str(tmp_path / "huge.h5"), "a")
        file["model_weights"] = h5py.ExternalLink(str(tmp_path / "huge.h5"), "/")
    refuse(tmp_path / "linked.h5", "holds no arrays")
    content = as_keras2(tmp_path / "cut.h5")
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    refuse(tmp_path / "cut.h5", "cannot read")


def test_tfjs_shards_lie_beside_the_manifest(tmp_path):
    (tmp_path / "s1.bin").write_bytes(SHARDS[:50])
    (tmp_path / "s2.bin").write_bytes(SHARDS[50:])
    (tmp_path / "model.json").write_text(json.dumps(as_tfjs()))
    np.testing.assert_array_equal(read(tmp_path / "model.json")["bias"], BIAS)
    for trick in ("../s1.bin", "/etc/hostname", "missing.bin"):
        manifest = as_tfjs()
        manifest["weightsManifest"][0]["paths"] = [trick]
        (tmp_path / "model.json").write_text(json.dumps(manifest))
        refuse(tmp_path / "model.json", "does not lie beside it|No such file")


@pytest.mark.parametrize(
    "change", [{"shape": [10**12]}, {"shape": [-1]}, {"dtype": "uint8"}, {"quantization": {}}]
)
def test_absurd_manifests_are_refused(change, file):
    manifest = as_tfjs()
    manifest["weightsManifest"][0]["weights"][0] |= change
    refuse(file(json.dumps(manifest).encode() + SHARDS), "cut short|shape|float32")


def test_what_is_no_weight_file_is_refused(file, tmp_path):
    refuse(file(b""), "no weight file")
    refuse(file(b"\xff\xd8\xff a photo"), "no weight file")
    refuse(file(pickle.dumps([1, 2], 2)), "a list instead of a dict")
    refuse(file(pickle.dumps({"a": 1}, 2)), "holds no arrays")
    refuse(tmp_path / "missing.pth", "No such file")
    refuse(tmp_path, "directory")


@pytest.mark.torch
def test_what_torch_saves_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    values = {"a": torch.randn(3, 4).T, "b": torch.arange(5)[2:], "c": torch.randn(2).bfloat16()}
    values["d"] = torch.nn.Parameter(torch.randn(2))
    for new in (True, False):
        torch.save(values, tmp_path / "file.pth", _use_new_zipfile_serialization=new)
        arrays = read(tmp_path / "file.pth")
        for name, value in values.items():
            np.testing.assert_array_equal(arrays[name], value.detach().float().numpy())
