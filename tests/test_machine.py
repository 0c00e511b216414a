"""What is chosen on machines that are not this one."""

import pytest
import torch

from discerna import machine
from discerna.composition import compose
from discerna.errors import MachineError, SettingsError
from discerna.machine import Machine
from discerna.networks.products import fp32_products


@pytest.fixture
def gpus(monkeypatch):
    """A machine with so many GPUs."""

    def see(count: int, bf16: bool = True, generation: int = 9) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "a GPU")
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (generation, 0))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return see


def chosen(*overrides: str) -> Machine:
    settings = compose("train", ["model=resnet18", "train_data=a", "valid_data=b", *overrides])
    return machine.choose(settings.trainer, settings.loading, machine.processes(settings.trainer))


@pytest.mark.parametrize(
    ("overrides", "value", "reason"),
    [
        (["trainer=ddp"], True, "batch statistics are shared by the 4 processes"),
        (["trainer=ddp", "trainer.sync_batchnorm=false"], False, "trainer.sync_batchnorm"),
        (["trainer=gpu", "trainer.sync_batchnorm=true"], False, "one process has the whole batch"),
        (
            ["trainer=cpu", "trainer.devices=2"],
            False,
            "torch's SyncBatchNorm works on GPUs only: each process has its own statistics",
        ),
    ],
)
def test_who_shares_batch_statistics(gpus, overrides, value, reason):
    gpus(4)
    found = chosen(*overrides)
    assert (found.sync_batchnorm.value, found.sync_batchnorm.reason) == (value, reason)
    assert ("sync_batchnorm", str(value), reason) in found.lines()


def test_one_process_hears_nothing_of_what_several_would_share(gpus):
    gpus(1)
    names = {name for name, _, _ in chosen("trainer=gpu").lines()}
    assert "precision" in names and not names & {"strategy", "sync_batchnorm"}


def test_batch_statistics_are_not_shared_on_the_cpu():
    with pytest.raises(MachineError, match="batch statistics cannot be shared on the CPU"):
        chosen("trainer=cpu", "trainer.devices=2", "trainer.sync_batchnorm=true")


@pytest.mark.parametrize(
    ("overrides", "value", "reason"),
    [
        (["trainer=ddp"], "ddp", "each of the 4 processes has all weights"),
        (
            ["trainer=ddp", "trainer.strategy=fsdp"],
            "fsdp",
            "each of the 4 GPUs keeps a part of the weights",
        ),
        (
            ["trainer=gpu", "trainer.strategy=fsdp"],
            "single",
            "one GPU has all weights: there is nothing to shard",
        ),
    ],
)
def test_how_the_network_is_shared(gpus, overrides, value, reason):
    gpus(4)
    found = chosen(*overrides)
    assert ("strategy", value, reason) in found.lines()


@pytest.mark.parametrize("devices", ["1", "2", "auto"])
def test_weights_are_sharded_on_gpus_only(gpus, devices):
    gpus(0)
    settings = compose(
        "train",
        [
            *("model=resnet18", "train_data=a", "valid_data=b"),
            *("trainer.strategy=fsdp", f"trainer.devices={devices}"),
        ],
    )
    with pytest.raises(MachineError) as caught:  # asked before any process is started
        machine.processes(settings.trainer)
    assert str(caught.value) == (
        "weights can be sharded over GPUs only: trainer.strategy=fsdp; CUDA GPUs; this training would run on the CPU;"
        " use trainer.strategy=ddp or auto"
    )


def test_sharding_on_the_cpu_is_refused_where_there_are_gpus(gpus):
    gpus(2)
    with pytest.raises(MachineError, match="would run on the CPU"):
        chosen("trainer=cpu", "trainer.devices=2", "trainer.strategy=fsdp")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("trainer.precision=64-true", "sharded weights have no double precision"),
        ("trainer.fused=true", "a fused step sees one part of the gradients only"),
    ],
)
def test_what_sharded_weights_lack(gpus, own, message):
    gpus(2, bf16=False)
    sharded = ["trainer=ddp", "trainer.strategy=fsdp"]
    with pytest.raises((MachineError, SettingsError), match=message):
        chosen(*sharded, own)
    found = chosen(*sharded)
    assert found.precision.value == "16-mixed" and found.fused.value is False


@pytest.mark.parametrize(
    ("generation", "overrides", "value"),
    [
        (9, ["trainer.precision=32-true"], True),
        (8, ["recipe=azure"], True),
        (7, ["trainer.precision=32-true"], False),
        (9, ["trainer.precision=32-true", "trainer.tf32=false"], False),
        (9, ["trainer.precision=64-true"], False),
        (9, [], False),
        (9, ["trainer.tf32=true"], True),
    ],
)
def test_where_fp32_is_multiplied_as_tf32(gpus, generation, overrides, value):
    gpus(1, generation=generation)
    found = chosen("trainer=gpu", *overrides).tf32
    assert found.value is value
    told = {name for name, _, _ in chosen("trainer=gpu", *overrides).lines()}
    assert ("tf32" in told) == (value or "trainer.tf32=false" in overrides)


def test_tf32_is_of_nvidias_gpus(gpus):
    gpus(0)
    assert "tf32" not in {name for name, _, _ in chosen().lines()}
    with pytest.raises(MachineError, match="TF32 needs a GPU"):
        chosen("trainer.tf32=true")


@pytest.mark.parametrize(
    ("overrides", "value", "reason"),
    [
        (["trainer=gpu"], "auto", "a trial will tell"),
        (["trainer=cpu"], "off", "of no matter here"),
        (["trainer=gpu", "trainer.compile=false"], "off", "trainer.compile"),
        (["trainer=cpu", "trainer.compile=true"], "default", "trainer.compile"),
        (["trainer=gpu", "trainer.compile=reduce-overhead"], "reduce-overhead", "trainer.compile"),
        (["trainer=ddp", "trainer.strategy=fsdp"], "off", "sharded weights cannot be compiled"),
        (["trainer=ddp"], "off", "a trial decides for one process only; trainer.compile=true does it"),
        (
            ["trainer=gpu", "trainer.deterministic=true"],
            "off",
            "whether it pays is measured, and would not be decided alike each time",
        ),
    ],
)
def test_where_the_network_may_be_compiled(gpus, overrides, value, reason):
    gpus(2)
    found = chosen(*overrides).compile
    assert (found.value, found.reason) == (value, reason)


def test_old_gpus_and_sharded_weights_are_not_compiled(gpus):
    gpus(2, generation=6)
    assert chosen("trainer=gpu").compile.reason == "the GPU is too old for it"
    with pytest.raises(MachineError, match="sharded weights cannot be compiled"):
        chosen("trainer=ddp", "trainer.strategy=fsdp", "trainer.compile=true")


@pytest.mark.parametrize("how", ["tf32", "ieee"])
def test_whoever_asks_for_the_way_to_multiply_by_its_older_name_is_answered(how):
    """Lightning does at the start of a training, and torch's compiler."""
    places = [torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.mkldnn.matmul]
    before = [place.fp32_precision for place in places], torch.get_float32_matmul_precision()
    with fp32_products(how):
        assert torch.get_float32_matmul_precision() == ("high" if how == "tf32" else "highest")
        assert torch.backends.cuda.matmul.allow_tf32 is (how == "tf32")
        if how == "tf32":  # torch has no older word for the other
            assert torch.backends.cudnn.allow_tf32
    assert ([place.fp32_precision for place in places], torch.get_float32_matmul_precision()) == before
