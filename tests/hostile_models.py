"""Model directories as an enemy would make them: each entry turns a good one into one that must be refused.

`CORPUS` has them by name. An entry alters the copy of a good thing that it gets, of its `kind`: a trained model
directory of ours (`model`), or one of the Azure ML designer's (`from`). `hostile_doors` opens each through every door
that takes its kind, under a `canary`; a new kind needs a good thing and its doors there, and entries here.

Checksums are made to fit wherever the enemy could do that too.
"""

import io
import json
import os
import pickle
import socket
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from discerna.directories.model_files import file_digest
from old_model_dirs import edit_spec

MODEL, WEIGHTS, TRAINING, MANIFEST = "model.json", "weights.safetensors", "training.json", "manifest.json"

MARKER = "payload-ran"
"""What every payload makes in the current folder, if it runs: the last canary."""

MODULE = "hostile_payload"
"""A module that lies where Python finds it; importing it is a crime."""

SECRET = "secret.txt"
"""A file beside the copy; reading it is a crime."""


@dataclass(frozen=True)
class Entry:
    """One attack."""

    name: str
    kind: str
    attack: str
    """What it tries, in a line."""
    make: Callable[[Path], object]
    """Alters the good copy at the path."""


CORPUS: dict[str, Entry] = {}


def add(name: str, attack: str, make: Callable[[Path], object], kind: str = "model") -> None:
    """Put an entry into the corpus."""
    assert name not in CORPUS, name
    CORPUS[name] = Entry(name, kind, attack, make)


def hostile(
    attack: str, kind: str = "model"
) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    """The function as an entry under its own name."""

    def added(make: Callable[[Path], object]) -> Callable[[Path], object]:
        add(make.__name__, attack, make, kind)
        return make

    return added


# Tools of the enemy


class Payload:
    """Runs a shell command, and makes the marker, where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {MARKER}",)


class Evaluated:
    """The same without a process: code in a text."""

    def __reduce__(self) -> tuple[object, ...]:
        return eval, (f"open({MARKER!r}, 'w')",)


def seal(path: Path) -> None:
    """Give the directory a manifest that fits what lies in it, as one who alters it with intent would."""
    entries = {
        file.name: {"sha256": file_digest(file), "size": file.stat().st_size}
        for file in path.iterdir()
        if file.name != MANIFEST
    }
    (path / MANIFEST).write_text(json.dumps({"files": entries}))


def put(path: Path, name: str, content: str | bytes) -> None:
    """Write a file, and seal the directory unless it is the seal itself."""
    (path / name).write_bytes(
        content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    )
    if name != MANIFEST:
        seal(path)


def edit(path: Path, name: str, **changes: object) -> None:
    """Change some keys of a JSON file, and seal the directory."""
    put(path, name, json.dumps({**json.loads((path / name).read_text()), **changes}))


def edit_seen(path: Path, **changes: object) -> None:
    """Change some keys of the preprocessing, and seal the directory."""
    seen = json.loads((path / MODEL).read_text())["preprocessing"]
    newer = any(key in changes for key in ("grayscale", "border"))
    edit(path, MODEL, preprocessing={**seen, **changes}, format_version=2 if newer else 1)


def edit_listed(path: Path, **files: object) -> None:
    """Change some entries of the manifest."""
    listed = json.loads((path / MANIFEST).read_text())["files"]
    (path / MANIFEST).write_text(json.dumps({"files": {**listed, **files}}))


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header of the weights, and what follows it."""
    data = (path / WEIGHTS).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(path: Path, header: str, data: bytes, length: int | None = None) -> None:
    """Write weights with that header, which says that it is `length` long, and seal the directory."""
    encoded = header.encode()
    put(path, WEIGHTS, struct.pack("<Q", len(encoded) if length is None else length) + encoded + data)


def edit_tensor(path: Path, **changes: object) -> None:
    """Change what the header says of its first tensor, and seal the directory."""
    header, data = header_of(path)
    first = next(name for name in header if name != "__metadata__")
    with_header(path, json.dumps({**header, first: {**header[first], **changes}}), data)


def edit_weights(path: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Change one tensor, and seal the directory."""
    weights = load_file(path / WEIGHTS)
    weights = {own: tensor.clone() for own, tensor in weights.items()}  # not mapped, as the file is replaced
    save_file({**weights, name: change(weights[name]).contiguous()}, path / WEIGHTS)
    seal(path)


def sparse(path: Path, size: int) -> None:
    """Let a file be of that size, which takes no room on the disk."""
    with path.open("ab") as stream:
        stream.truncate(size)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else in the place of a file."""
    path.unlink()
    make(path)


def secret(path: Path) -> Path:
    """The file beside the copy."""
    return path.parent / SECRET


# Pickles

PICKLES = ("model.pt", "pytorch_model.bin", "last.ckpt", "archive.pt2", "weights.pkl", "extra.npy")

for _name in PICKLES:
    add(
        f"pickle_{_name}",
        f"a pickle {_name} that is not listed",
        lambda p, n=_name: (p / n).write_bytes(pickle.dumps(Payload())),
    )
    add(
        f"listed_pickle_{_name}",
        f"a pickle {_name} that is listed",
        lambda p, n=_name: put(p, n, pickle.dumps(Payload())),
    )

for _name in (MODEL, WEIGHTS, TRAINING, MANIFEST):
    add(f"pickle_as_{_name}", f"{_name} is a pickle", lambda p, n=_name: put(p, n, pickle.dumps(Evaluated())))


@hostile("weights that torch.save wrote, with a payload")
def torch_file_as_weights(path: Path) -> None:
    torch.save({"a": Payload()}, path / WEIGHTS)
    seal(path)


@hostile("weights that are a zip file with a pickle as well, by what stands behind the tensors")
def zip_behind_the_tensors(path: Path) -> None:
    with zipfile.ZipFile(path / WEIGHTS, "a") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload()))
    seal(path)


@hostile("Python files beside the model, one of them the module that has the network")
def code_beside(path: Path) -> None:
    for name in ("__init__.py", "tiny_networks.py", "sitecustomize.py"):
        put(path, name, f"open({MARKER!r}, 'w')")


# The network's name and arguments

NETWORKS = (
    "os.system", "builtins:eval", "torch.hub", "hostile_payload", "hostile_payload:run", "hostile_payload.run",
    "../tiny", "../../tiny_networks", "/etc/passwd", "azure/../tiny", "azure/resnet18/../../x", "timm/../../x",
    "timm/hf-hub:an/enemy", "timm/hf_hub:an/enemy", "timm/local-dir:/etc", "timm/resnet18.../x", "registry:x@y",
    "https://example.org/net", "file:///etc/passwd", "__import__('os').system('touch payload-ran')", "tiny\u200b",
    "t\u0456ny", "tiny\0", "TINY", "resnet18 ", "x" * 201, "\ud800", "\u202eynit",
)  # fmt: skip

for _name in NETWORKS:
    add(
        f"network_{ascii(_name)[1:40]}",
        "a network's name that leads elsewhere",
        partial(edit, name=MODEL, network=_name),
    )

ARGUMENTS: dict[str, tuple[str, dict[str, object]]] = {
    "class": ("tiny", {"__class__": "os.system"}),
    "target": ("tiny", {"_target_": "os.system", "command": f"touch {MARKER}"}),
    "deep_target": ("tiny", {"width": [{"a": {"_target_": "os.system", "_args_": [f"touch {MARKER}"]}}]}),
    "labels": ("tiny", {"num_labels": 10**9}),
    "self": ("tiny", {"self": 1, "": 2}),
    "wide": ("tiny", {"width": 10**12}),
    "wider": ("tiny", {"width": 10**30}),
    "negative": ("tiny", {"width": -8}),
    "none": ("tiny", {"width": 0}),
    "fraction": ("tiny", {"width": 8.5}),
    "text": ("tiny", {"width": "8" * 10**5}),
    "dropout": ("tiny", {"dropout": 1e308}),
    "many": ("tiny", {f"a{i}": i for i in range(10_000)}),
    "deep": ("tiny", {"width": json.loads("[" * 50 + "]" * 50)}),
    "function": ("resnet18", {"norm_layer": "os.system"}),
    "download": ("resnet18", {"weights": "DEFAULT", "progress": True}),
    "download_of_old": ("resnet18", {"pretrained": True}),
    "groups": ("resnet18", {"groups": 0, "width_per_group": 10**15}),
    "repeats": ("mobilenet_v2", {"inverted_residual_setting": [[1, 16, 10**9, 1]]}),
    "width_mult": ("mobilenet_v2", {"width_mult": 1e300}),
    "layers": ("densenet121", {"block_config": [10**9] * 4, "growth_rate": 10**9}),
    "vit": ("vit_b_16", {"image_size": 10**9}),
    "vit_layers": ("vit_b_16", {"image_size": 16, "num_layers": 10**9}),
    "maxvit": ("maxvit_t", {"input_size": [10**9, 10**9]}),
    "timm_file": ("timm/resnet18", {"checkpoint_path": "last.ckpt"}),
    "timm_download": ("timm/resnet18", {"pretrained": True}),
    "timm_source": ("timm/resnet18", {"pretrained_cfg": {"url": "https://example.org/x", "file": "x.pth"}}),
    "timm_function": ("timm/resnet18", {"act_layer": "os.system"}),
    "timm_depth": ("timm/vit_tiny_patch16_224", {"depth": 10**9}),
    "timm_wide": ("timm/vit_tiny_patch16_224", {"embed_dim": 16384, "depth": 16384}),
    "timm_size": ("timm/vit_tiny_patch16_224", {"img_size": 10**9}),
}  # fmt: skip

for _name, (_network, _arguments) in ARGUMENTS.items():
    add(
        f"arguments_{_name}",
        f"arguments of {_network} that run, load or fill something",
        partial(edit, name=MODEL, network=_network, arguments=_arguments),
    )

# Labels, preprocessing and versions

LABELS: dict[str, Callable[[], object]] = {
    "a_billion": lambda: 10**9,
    "a_billion_in_words": lambda: {"count": 10**9},
    "many": lambda: [f"{i:x}" for i in range(400_000)],
    "many_numbers": lambda: list(range(400_000)),
    "one_more": lambda: ["blue", "green", "red", "more"],
    "one_less": lambda: ["blue", "green"],
    "twice": lambda: ["blue", "green", "green"],
    "up": lambda: ["blue", "green", ".."],
    "path": lambda: ["blue", "green", "../../red"],
    "absolute": lambda: ["blue", "green", "/etc/passwd"],
    "empty": lambda: ["blue", "green", ""],
    "zero_byte": lambda: ["blue", "green", "red\0"],
    "surrogate": lambda: ["blue", "green", "\ud800"],
    "lists": lambda: [["blue"], ["green"], ["red"]],
    "none": list,
}

for _name, _labels in LABELS.items():
    add(
        f"labels_{_name}",
        "labels that fill memory, repeat or lead elsewhere",
        lambda p, made=_labels: edit(p, MODEL, labels=made()),
    )

SEEN: dict[str, dict[str, object]] = {
    "huge": {"size": 10**9, "resize": 10**9},
    "endless": {"size": 10**400, "resize": 10**400},
    "negative": {"size": -16},
    "nothing": {"size": 0, "resize": 0},
    "huge_resize": {"resize": 10**9},
    "huge_border": {"border": 10**9},
    "negative_border": {"border": -5},
    "huge_mean": {"fit": "pad", "mean": [1e308] * 3},
    "endless_mean": {"mean": [10**400] * 3},
    "tiny_std": {"std": [1e-320] * 3},
    "negative_std": {"std": [-0.5] * 3},
    "one_colour": {"mean": [0.5], "std": [0.5]},
    "many_colours": {"mean": [0.5] * 400_000},
    "code": {"interpolation": "__import__('os').system('touch payload-ran')"},
    "target": {"interpolation": {"_target_": "os.system"}},
}

for _name, _seen in SEEN.items():
    add(
        f"preprocessing_{_name}",
        "a preprocessing that fills memory or breaks arithmetic",
        partial(edit_seen, **_seen),
    )

add(
    "preprocessing_many_keys",
    "unknown keys, each to be told",
    lambda p: edit_seen(p, **{f"a{i}": i for i in range(60_000)}),
)
add("preprocessing_long_key", "an unknown key of 8 MB", lambda p: edit_seen(p, **{"k" * (8 << 20): 1}))
add(
    "preprocessing_long_text",
    "a wrong value of 8 MB",
    lambda p: edit_seen(p, fit="\U0001f600" + "f" * (8 << 20)),
)

VERSIONS: dict[str, object] = {
    "newer": 99, "endless": 10**4000, "negative": -1, "true": True, "text": "1", "list": [1], "fraction": 1.0
}  # fmt: skip

for _name, _version in VERSIONS.items():
    add(
        f"version_{_name}",
        "a format version that is none of ours",
        partial(edit, name=MODEL, format_version=_version),
    )

add(
    "weights_from_many",
    "licences that are no text",
    lambda p: edit(p, MODEL, weights_from={f"{i:x}": 1 for i in range(150_000)}),
)
add("another_key", "a key that no model has", partial(edit, name=MODEL, loader="hostile_payload:run"))
add("untrained_with_labels", "an untrained model with labels", partial(edit, name=MODEL, state="untrained"))

# JSON

JSON: dict[str, Callable[[], str | bytes]] = {
    "twice": lambda: '{"files": {}, "files": {}}',
    "nan": lambda: '{"files": NaN}',
    "infinity": lambda: '{"files": -Infinity}',
    "beyond": lambda: '{"files": 1e999}',
    "digits": lambda: '{"files": ' + "9" * 5000 + "}",
    "lists": lambda: "[" * 100_000,
    "objects": lambda: '{"a":' * 100_000 + "1" + "}" * 100_000,
    "closed_lists": lambda: '{"a":' + "[" * 900 + "]" * 900 + "}",
    "million_objects": lambda: '{"a":[' + "{}," * 5_000_000 + "{}]}",
    "million_lists": lambda: '{"a":[' + "[]," * 5_000_000 + "[]]}",
    "million_numbers": lambda: '{"a":[' + "1.5," * 3_000_000 + "1]}",
    "long_key_twice": lambda: "{" + ",".join([f'"{"k" * (4 << 20)}":1'] * 2) + "}",
    "wide_text": lambda: '{"a":"\U0001f600' + "x" * (15 << 20) + '"}',
    "half_a_text": lambda: '{"a": "',
    "no_text": lambda: b'{"a": "\xff\xfe"}',
    "utf_16": lambda: '{"files": {}}'.encode("utf-16"),
    "null": lambda: "null",
    "target": lambda: '{"files": {"_target_": "os.system"}}',
    "python": lambda: "__import__('os').system('touch payload-ran')",
    "yaml": lambda: "!!python/object/apply:os.system ['touch payload-ran']",
    "many_digits": lambda: '{"a":[' + "9" * 4300 + ("," + "9" * 4300) * 1000 + "]}",
}  # fmt: skip

_HARMLESS = ("closed_lists", "wide_text", "many_digits")
"""Where nothing is asked for, these are what they should be: training.json may hold anything of JSON."""

for _name, _text in JSON.items():
    for _file in (MODEL, TRAINING, MANIFEST):
        if _file != TRAINING or _name not in _HARMLESS:
            add(
                f"json_{_name}_in_{_file}",
                "JSON that overflows a parser or is none",
                lambda p, f=_file, made=_text: put(p, f, made()),
            )

for _file in (MODEL, TRAINING, MANIFEST):
    add(
        f"json_of_200_mb_as_{_file}",
        "a file of zeros that takes no room",
        lambda p, n=_file: sparse(p / n, 200 << 20),
    )

add("sealed_json_of_200_mb", "a listed file of zeros", lambda p: (sparse(p / TRAINING, 200 << 20), seal(p)))
add(
    "training_of_an_untrained_model",
    "a record of a training that never was",
    partial(edit, name=MODEL, state="untrained", labels=[]),
)

# The manifest

for _name in (
    "../elsewhere",
    "/etc/passwd",
    "..\\x",
    "sub/model.json",
    "..",
    "",
    "model.json\0",
    "model.json\u200b",
    "m\u043edel.json",
    "manifest.json",
    "x" * 10**6,
):
    add(
        f"lists_{ascii(_name)[1:30]}",
        "a manifest that names a file elsewhere",
        lambda p, n=_name: edit_listed(p, **{n: {"sha256": "0" * 64, "size": 0}}),
    )

LISTED: dict[str, object] = {
    "no_checksum": {"size": 1},
    "null": None,
    "endless_size": {"sha256": "0" * 64, "size": 10**4000},
    "negative_size": {"sha256": "0" * 64, "size": -1},
    "fraction": {"sha256": "0" * 64, "size": 1.5},
    "list": {"sha256": ["0" * 64], "size": 1},
    "other_algorithm": {"md5": "0" * 32, "size": 1},
}

for _name, _entry in LISTED.items():
    add(
        f"manifest_{_name}",
        "a manifest that vouches for nothing",
        lambda p, e=_entry: edit_listed(p, **{MODEL: e}),
    )

add(
    "manifest_of_many_files",
    "names that fill memory",
    lambda p: edit_listed(p, **{f"f{i}": None for i in range(100_000)}),
)
add(
    "tampered",
    "a label exchanged without a new checksum",
    lambda p: (p / MODEL).write_text((p / MODEL).read_text().replace("red", "rid")),
)
add("no_manifest", "nothing that vouches for the files", lambda p: (p / MANIFEST).unlink())
add(
    "unlisted_weights",
    "weights that nobody vouches for",
    lambda p: put(
        p,
        MANIFEST,
        json.dumps(
            {
                "files": {
                    k: v for k, v in json.loads((p / MANIFEST).read_text())["files"].items() if k != WEIGHTS
                }
            }
        ),
    ),
)

# Other things than files


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the address may have about 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


THINGS: dict[str, Callable[[Path], object]] = {
    "link_to_passwd": lambda p: p.symlink_to("/etc/passwd"),
    "link_to_a_secret": lambda p: p.symlink_to(secret(p.parent)),
    "link_to_zeros": lambda p: p.symlink_to("/dev/zero"),
    "link_to_nothing": lambda p: p.symlink_to("nothing"),
    "link_to_itself": lambda p: p.symlink_to(p.name),
    "link_to_memory": lambda p: p.symlink_to("/proc/self/mem"),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": _socket,
}

for _name, _make in THINGS.items():
    for _file in (MODEL, WEIGHTS, MANIFEST):
        add(
            f"{_name}_as_{_file}",
            "no plain file, which hangs or tells a secret",
            lambda p, f=_file, m=_make: replace(p / f, m),
        )

for _name in (
    "model.json\u200b",
    "m\u043edel.json",
    "\u202enosj.ledom",
    "a b",
    "x\n",
    "~",
    "\x1b[2J",
    "-rf",
    ".hidden",
):
    add(
        f"beside_{ascii(_name)[1:-1]}",
        "a file beside the others whose name misleads",
        lambda p, n=_name: (p / n).write_text("x"),
    )

add("deep_folder", "a folder with a model in it", lambda p: (p / "model").mkdir())

# The header of the weights

HEADERS: dict[str, tuple[Callable[[], str], int | None]] = {
    "10_to_12": (lambda: "{}", 10**12),
    "2_to_63": (lambda: "{}", 2**63),
    "2_to_64": (lambda: "{}", 2**64 - 1),
    "longer": (lambda: "{}", 4096),
    "zero": (lambda: "", 0),
    "no_json": (lambda: "x", None),
    "list": (lambda: "[]", None),
    "empty": (lambda: "{}", None),
    "deep": (lambda: '{"a":' * 100_000, None),
    "million": (lambda: "{" + ",".join(f'"{i:x}":0' for i in range(600_000)) + "}", None),
    "million_objects": (lambda: '{"a":[' + "{}," * 5_000_000 + "{}]}", None),
    "blanks": (lambda: "{}" + " " * (50 << 20), None),
    "metadata": (lambda: '{"__metadata__":{"a":{"b":1}}}', None),
    "metadata_target": (lambda: '{"__metadata__":{"_target_":"os.system"}}', None),
    "long_name": (lambda: json.dumps({"n" * (8 << 20): {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}), None),
}  # fmt: skip

for _name, (_header, _length) in HEADERS.items():
    add(
        f"header_{_name}",
        "a header that is no header of these tensors",
        lambda p, made=_header, n=_length: with_header(p, made(), header_of(p)[1], n),
    )

TENSORS: dict[str, dict[str, object]] = {
    "unknown_type": {"dtype": "OBJECT"},
    "type_of_code": {"dtype": "os.system"},
    "type_list": {"dtype": ["F32"]},
    "overflow": {"shape": [2**62, 2**62, 4]},
    "overflow_to_0": {"shape": [2**32, 2**32]},
    "negative": {"shape": [-1, -216]},
    "terabytes": {"shape": [10**12], "data_offsets": [0, 4 * 10**12]},
    "beyond": {"data_offsets": [10**9, 10**9 + 864]},
    "negative_offsets": {"data_offsets": [-864, 0]},
    "backwards": {"data_offsets": [864, 0]},
    "fractions": {"data_offsets": [0.0, 864.0]},
    "more_keys": {"_target_": "os.system"},
    "dimensions": {"shape": [1] * 100_000 + [216]},
    "zeros": {"shape": [0] * 16, "data_offsets": [0, 0]},
    "other_shape": {"shape": [216]},
    "true": {"shape": [True, 216]},
}

for _name, _changes in TENSORS.items():
    add(f"tensor_{_name}", "a tensor that is not what lies in the file", partial(edit_tensor, **_changes))


@hostile("two tensors over one another")
def overlapping_tensors(path: Path) -> None:
    header, data = header_of(path)
    one, other, *_ = sorted(header)
    header[other] = {**header[one]}
    with_header(path, json.dumps(header), data)


@hostile("a tensor twice, the second with another place")
def tensor_twice(path: Path) -> None:
    header, data = header_of(path)
    name = next(iter(header))
    text = json.dumps(header)
    with_header(path, text[:-1] + f', "{name}": {json.dumps(header[name])}' + "}", data)


@hostile("bytes that belong to no tensor, where other things can hide")
def hidden_bytes(path: Path) -> None:
    header, data = header_of(path)
    with_header(path, json.dumps(header), data + pickle.dumps(Payload()))


@hostile("a terabyte of weights that takes no room on the disk: a checksum of it takes an hour")
def weights_of_a_terabyte(path: Path) -> None:
    size = 10**12
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    (path / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header)
    sparse(path / WEIGHTS, 8 + len(header) + size)
    edit_listed(path, **{WEIGHTS: {"sha256": "0" * 64, "size": 8 + len(header) + size}})


@hostile("so many tensors that comparing them takes long")
def many_tensors(path: Path) -> None:
    header = {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(15_000)}
    with_header(path, json.dumps(header), b"")


WRONG_NUMBERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "nan": lambda t: t * float("nan"),
    "infinite": lambda t: t + float("inf"),
    "half_nan": lambda t: (t * float("nan")).half(),
    "eight_bits_nan": lambda t: (t * float("nan")).to(torch.float8_e4m3fn),
    "doubles": lambda t: t.double() + 1e300,
    "complex": lambda t: t.to(torch.complex64),
    "complex_nan": lambda t: t.to(torch.complex64) * complex(0, float("nan")),
}

for _name, _change in WRONG_NUMBERS.items():
    add(
        f"numbers_{_name}",
        "numbers that the network cannot have",
        partial(edit_weights, name="0.weight", change=_change),
    )

add(
    "weights_of_another",
    "tensors of another network",
    lambda p: (save_file({"a": torch.ones(3)}, p / WEIGHTS), seal(p)),
)

# Directories of the designer's: `discerna create from=`

old = partial(hostile, kind="from")
add_old = partial(add, kind="from")


def edit_text(path: Path, name: str, before: str, after: str) -> None:
    """Exchange a part of a text file."""
    text = (path / name).read_text()
    assert before in text
    (path / name).write_text(text.replace(before, after))


add_old("old_pickle", "a state dict with a payload", lambda p: torch.save({"a": Payload()}, p / "model"))
add_old(
    "old_pickle_of_old",
    "the same in torch's format of old",
    lambda p: torch.save({"a": Evaluated()}, p / "model", _use_new_zipfile_serialization=False),
)
add_old(
    "old_plain_pickle",
    "a plain pickle as state dict",
    lambda p: (p / "model").write_bytes(pickle.dumps(Payload())),
)
add_old(
    "old_module",
    "the Python module of an enemy as that of the network",
    lambda p: edit_spec(p, flavor_extras__module=MODULE),
)
add_old(
    "old_module_inside",
    "the same, named as the designer's",
    lambda p: edit_spec(p, flavor_extras__module=f"azureml.{MODULE}"),
)
add_old(
    "old_class",
    "a function as the class of the network",
    lambda p: edit_spec(p, flavor_extras__module="os", flavor_extras__class="system"),
)
add_old(
    "old_target",
    "Hydra's word for an import among the arguments",
    lambda p: edit_spec(p, flavor_extras__init_params___target_="os.system"),
)
add_old(
    "old_network",
    "a network's name that leads elsewhere",
    lambda p: edit_spec(p, flavor_extras__init_params__model_name="../../tiny"),
)
add_old(
    "old_labels", "a billion outputs", lambda p: edit_spec(p, flavor_extras__init_params__num_classes=10**9)
)
add_old(
    "old_flavour",
    "a model that is a pickle by its own word",
    lambda p: edit_spec(p, flavor__serialization_method="cloudpickle"),
)
add_old("old_traversal", "weights that lie elsewhere", lambda p: edit_spec(p, model_file=f"../{SECRET}"))
add_old(
    "old_link",
    "weights that are a link to a secret",
    lambda p: replace(p / "model", lambda m: m.symlink_to(secret(p))),
)
add_old("old_pipe", "weights that never come", lambda p: replace(p / "model", os.mkfifo))
add_old("old_meta_pipe", "a description that never comes", lambda p: replace(p / "_meta.yaml", os.mkfifo))
add_old(
    "old_yaml_tag",
    "YAML that runs a command",
    lambda p: (p / "model_spec.yaml").write_text(
        f"flavor: !!python/object/apply:os.system ['touch {MARKER}']"
    ),
)
add_old(
    "old_yaml_module",
    "YAML that imports",
    lambda p: (p / "model_spec.yaml").write_text(f"flavor: !!python/module:{MODULE}"),
)
add_old(
    "old_number_as_name",
    "an argument whose name has more digits than Python writes",
    lambda p: edit_text(
        p, "model_spec.yaml", "init_params:", f"init_params:\n    ? 0x1{'0' * 5000}\n    : 1"
    ),
)
add_old("old_name_in_colour", "a file whose name paints the terminal", lambda p: (
    (p / "model_spec.yaml").rename(p / "\x1b[2Jspec"),
    edit_text(p, "_meta.yaml", "model_spec.yaml", "\x1b[2Jspec"),
    (p / "\x1b[2Jspec").write_text("a: 1"),
))  # fmt: skip
add_old("old_laughs", "YAML of 40 lines that fills any memory", lambda p: (p / "model_spec.yaml").write_text(
    "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
))  # fmt: skip
add_old(
    "old_digits",
    "a number in base 60 with a thousand digits",
    lambda p: edit_text(p, "model_spec.yaml", "num_classes: 3", "num_classes: 1" + ":1" * 20_000),
)


def pickled(*parts: bytes) -> bytes:
    """A file of torch.save whose pickle is that."""
    stream = io.BytesIO()
    torch.save({"a": torch.ones(2)}, stream)
    made = io.BytesIO()
    with zipfile.ZipFile(stream) as honest, zipfile.ZipFile(made, "w") as archive:
        for info in honest.infolist():
            is_pickle = info.filename.endswith("/data.pkl")
            archive.writestr(info.filename, b"".join(parts) if is_pickle else honest.read(info))
    return made.getvalue()


add_old("old_bytes_of_4_gb", "a state dict that asks for 4 GB of zeros", lambda p: (p / "model").write_bytes(pickled(
    b"\x80\x02c__builtin__\nbytearray\n\x8a\x05", (4 << 30).to_bytes(5, "little"), b"\x85R."
)))  # fmt: skip


@old("a zip whose table of contents has 1.5 GB of nothing")
def old_zip_table(path: Path) -> None:
    table = 1536 << 20
    sparse(path / "model", 0)
    (path / "model").write_bytes(b"PK\3\4")
    sparse(path / "model", table)
    with (path / "model").open("ab") as stream:
        stream.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, table - 64, 64, 0))


@old("sample pictures in 20 million objects")
def old_samples(path: Path) -> None:
    (path / "_samples.json").write_text("[" + "{}," * 15_000_000 + "{}]")
    torch.save({"a": torch.ones(1)}, path / "model")  # samples alone cost no model
