"""Lightning without its notes about itself."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("discerna")

_QUIET = ("lightning.pytorch", "lightning.fabric")
_HEARD = ("lightning.pytorch.callbacks.early_stopping", "lightning.pytorch.profilers.profiler")
"""What a setting asks for: early_stopping.verbose, trainer.profiler."""


class _Forward(logging.Handler):
    """Hands a note of Lightning's to ours, so that it is shown and kept like them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        LOG.log(record.levelno, "%s", record.getMessage())


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's notes about itself: discerna tells the same choices with their reasons."""
    before = {name: logging.getLogger(name).level for name in (*_QUIET, *_HEARD)}
    for name in before:
        logging.getLogger(name).setLevel(logging.INFO if name in _HEARD else logging.ERROR)
    forward = _Forward()
    for name in _HEARD:
        logging.getLogger(name).addHandler(forward)
        logging.getLogger(name).propagate = False
    try:
        with warnings.catch_warnings():
            # Each is about something that is so on purpose.
            for text in _EXPECTED:
                warnings.filterwarnings("ignore", message=text)
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        for name in _HEARD:
            logging.getLogger(name).removeHandler(forward)
            logging.getLogger(name).propagate = True


_EXPECTED = (
    r".*It is recommended to use `self.log.*sync_dist=True.*",  # torchmetrics has added the processes up already
    r".*isinstance\(treespec, LeafSpec\).* is deprecated.*",  # Lightning 2.6 with torch 2.15
    r".*does not have many workers.*",  # the machine has chosen, with a reason
    r".*number of training batches .* is smaller than the logging interval.*",  # small data is welcome
    r".*Checkpoint directory .* exists and is not empty.*",  # a run folder of ours
    r".*TensorFloat32 tensor cores for float32 matrix multiplication available but not enabled.*",  # trainer.tf32
    r".*GPU available but not used.*",  # trainer=cpu was typed
    r".*``compute`` method of metric .* was called before the `update` method.*",  # more processes than pictures
)
