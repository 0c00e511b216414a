"""Discerna trains an image classifier from an untrained model and two folders of labelled pictures.

    import discerna

    trained = discerna.train(model="resnet18", train_data="data/train", valid_data="data/valid", epochs=3)
    model = discerna.load(trained.output)
    for prediction in model.predict(["new/a.jpg", "new/b.jpg"]):
        print(prediction.label, prediction.probability)

Importing this module loads neither torch nor Lightning; the functions do when they are called.
"""

from discerna.api import (
    check,
    convert,
    create,
    evaluate,
    list_runs,
    load,
    plan,
    register,
    resume,
    score,
    split,
    sweep,
    train,
)
from discerna.errors import (
    DatasetError,
    DiscernaError,
    DivergedError,
    DownloadError,
    InvalidDatasetError,
    InvalidModelDirectoryError,
    InvalidTransformationDirectoryError,
    MachineError,
    MissingExtraError,
    NotLabeledDatasetError,
    OutOfMemoryError,
    OutputError,
    ProcessError,
    ProcessHangError,
    ProcessKilledError,
    RegistryError,
    RunNotFoundError,
    SettingsError,
    TrainingError,
    UnreadablePictureError,
)
from discerna.version import __version__

__all__ = [
    "DatasetError",
    "DiscernaError",
    "DivergedError",
    "DownloadError",
    "InvalidDatasetError",
    "InvalidModelDirectoryError",
    "InvalidTransformationDirectoryError",
    "MachineError",
    "MissingExtraError",
    "NotLabeledDatasetError",
    "OutOfMemoryError",
    "OutputError",
    "ProcessError",
    "ProcessHangError",
    "ProcessKilledError",
    "RegistryError",
    "RunNotFoundError",
    "SettingsError",
    "TrainingError",
    "UnreadablePictureError",
    "__version__",
    "check",
    "convert",
    "create",
    "evaluate",
    "list_runs",
    "load",
    "plan",
    "register",
    "resume",
    "score",
    "split",
    "sweep",
    "train",
]
