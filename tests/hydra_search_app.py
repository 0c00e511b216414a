"""A Hydra application of a stranger's: `python hydra_search_app.py -m hydra/sweeper=discerna_optuna ...`."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig


@dataclass
class Config:
    """What the function depends on."""

    x: float = 0.0
    n: int = 1
    kind: str = "plain"
    log: str = "jobs.txt"


ConfigStore.instance().store("app", Config)


@hydra.main(version_base="1.3", config_path=None, config_name="app")
def main(config: Config) -> float:
    """A bowl, with its bottom at x=1, n=3; some kinds fail, or are killed."""
    number = HydraConfig.get().job.num
    with Path(config.log).open("a") as log:
        print(number, repr(config.x), config.n, config.kind, file=log)
    if os.environ.get("KILL_AT") == str(number):
        os.kill(os.getpid(), signal.SIGKILL)
    if config.kind == "it's broken, isn't it":
        raise ValueError("broken")
    return (config.x - 1) ** 2 + (config.n - 3) ** 2


if __name__ == "__main__":
    main()
