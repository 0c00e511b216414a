"""Model directories as the Azure ML designer wrote them, and its way to score: facts of the format, in code of ours."""

import base64
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from PIL import Image
from torch import nn
from torchvision import models
from torchvision.transforms.functional import normalize, to_tensor

MODULE = "azureml.designer.modules.dl.pytorch.initialize_models.vision.classification"
OPTIONS = {"resnet": ("ResNet", "zero_init_residual"), "densenet": ("DenseNet", "memory_efficient")}


class OldNetwork(nn.Module):
    """The designer's ResNet and DenseNet: torchvision's network inside, and a layer on top if it was pretrained."""

    def __init__(self, model_name: str, pretrained: bool, num_classes: int | None = None, **options: bool):
        super().__init__()
        inner = 1000 if pretrained or num_classes is None else num_classes
        self.model = models.get_model(model_name, num_classes=inner, **options)
        if pretrained and num_classes is not None:
            self.out_linear_model = nn.Linear(1000, num_classes)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        scores = self.model(pictures)
        return self.out_linear_model(scores) if hasattr(self, "out_linear_model") else scores


def old_network(name: str, *, pretrained: bool, labels: Sequence[str] = (), seed: int = 0) -> OldNetwork:
    """A network as after some training: its batch statistics are no longer those of the first step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = OldNetwork(name, pretrained, len(labels) or None)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.uniform_(-0.1, 0.1)
                layer.running_var.uniform_(0.9, 1.1)
    return network.eval()


def write_old_model(
    folder: Path,
    name: str,
    *,
    pretrained: bool,
    labels: Sequence[str] = (),
    network: nn.Module | None = None,
    samples: Sequence[Path] = (),
    option: bool = False,
    prefix: str = "",
) -> Path:
    """`folder` as the designer's components wrote it: trained where there are labels."""
    folder.mkdir(parents=True)
    family = "densenet" if name.startswith("densenet") else "resnet"
    cls, key = OPTIONS[family]
    params = {"model_name": name, "pretrained": pretrained, key: option}
    spec = {
        "flavor": {"name": "pytorch", "serialization_method": "state_dict"},
        "model_file": "model",
        "time_created": "2026-11-21T02:52:42.410690+0000",
        "flavor_extras": {
            "module": f"{MODULE}.{family}",
            "class": cls,
            "is_cuda": False,
            "init_params": params,
        },
        "task_type": "MultiClassification",
    }
    meta = {"type": "ModelDirectory", "extension": {}, "model": "model_spec.yaml"}
    if labels:
        params["num_classes"] = len(labels)
        half = [0.5, 0.5, 0.5]  # one list twice, which PyYAML writes as an alias
        spec["label_map_file"] = "index_to_label.csv"
        spec["inputs"] = [
            {
                "name": "image",
                "pre_processor": {
                    "module": "azureml.designer.core.model.model_spec.builtin_model_meta.pre_processor",
                    "class": "ImageNormalizer",
                    "init_params": {"mean": half, "std": half},
                },
            }
        ]
        meta |= {"registerModel": True, "modelOutputPath": "trained_model_outputs"}
        with (folder / "index_to_label.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([["", "label"], *enumerate(labels)])
        for left_out in ("score.py", "conda_env.yaml", "_schema.json"):
            (folder / left_out).write_text("# not read\n")
        entries = [{"image": base64.b64encode(path.read_bytes()).decode()} for path in samples]
        (folder / "_samples.json").write_text(json.dumps(entries))
    (folder / "_meta.yaml").write_text(yaml.safe_dump(meta, sort_keys=False))
    (folder / "model_spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    made = network or old_network(name, pretrained=pretrained, labels=labels)
    torch.save({prefix + key: tensor for key, tensor in made.state_dict().items()}, folder / "model")
    return folder


def edit_spec(folder: Path, **changes: object) -> None:
    """Change keys of `model_spec.yaml`; `a__b` is the key b in the mapping a."""
    spec = yaml.safe_load((folder / "model_spec.yaml").read_text())
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = spec
        for parent in parents:
            place = place[parent]
        place[key] = value
    (folder / "model_spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def old_scores(network: nn.Module, pictures: Sequence[Path]) -> torch.Tensor:
    """The designer's probabilities: pixels as they are, scaled, normalised by a half, no resizing."""
    tensors = [to_tensor(Image.open(path).convert("RGB")) for path in pictures]
    batch = torch.stack([normalize(tensor, [0.5] * 3, [0.5] * 3) for tensor in tensors])
    with torch.inference_mode():
        return network(batch).softmax(1)
