"""Checkpoints that an enemy made: the run that would go on from one refuses it. More entries of the corpus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from hostile_models import Evaluated, Payload, add
from run_folders import last_checkpoint

Content = dict[str, Any]


class Filling:
    """A few bytes that become gigabytes when they are read."""

    def __reduce__(self):
        return bytearray, (3 << 30,)


def checkpoint(attack: str) -> Callable[[Callable[[Content], object]], Callable[[Content], object]]:
    """A function that alters the content of the last checkpoint, as an entry under its own name."""

    def added(alter: Callable[[Content], object]) -> Callable[[Content], object]:
        def make(run: Path) -> None:
            path = last_checkpoint(run)
            content = torch.load(path, weights_only=True)
            alter(content)
            torch.save(content, path)

        add(f"checkpoint_{alter.__name__}", attack, make, kind="run")
        return alter

    return added


@checkpoint("a pickle beside the rest")
def pickle_beside(content: Content) -> None:
    content["more"] = Payload()


@checkpoint("code in a text among the rows")
def pickle_in_rows(content: Content) -> None:
    content["callbacks"]["EpochRecord"]["rows"] = [Evaluated()]


@checkpoint("a pickle in the place of a weight")
def pickle_as_weight(content: Content) -> None:
    content["state_dict"]["network.6.bias"] = Payload()


@checkpoint("a pickle in the optimizer's state")
def pickle_in_optimizer(content: Content) -> None:
    content["optimizer_states"][0]["state"][0]["exp_avg"] = Payload()


@checkpoint("a whole network, whose class would be imported")
def network(content: Content) -> None:
    content["network"] = torch.nn.Linear(2, 2)


@checkpoint("a few bytes that become gigabytes")
def filling(content: Content) -> None:
    content["more"] = Filling()


@checkpoint("a weight of 10^12 numbers, all of them one")
def stretched(content: Content) -> None:
    content["state_dict"]["network.6.weight"] = torch.zeros(1).expand(10**6, 10**6)


@checkpoint("an optimizer's average of 10^12 numbers")
def stretched_average(content: Content) -> None:
    content["optimizer_states"][0]["state"][0]["exp_avg"] = torch.zeros(1).expand(10**6, 10**6)


@checkpoint("weights that are not finite")
def nan_weights(content: Content) -> None:
    content["state_dict"]["network.6.bias"].fill_(float("nan"))


@checkpoint("no weights")
def no_weights(content: Content) -> None:
    content["state_dict"] = {}


@checkpoint("weights under other names")
def other_names(content: Content) -> None:
    content["state_dict"] = {f"x{name}": value for name, value in content["state_dict"].items()}


@checkpoint("no counters")
def no_counters(content: Content) -> None:
    del content["loops"]


@checkpoint("counters of text")
def text_counters(content: Content) -> None:
    content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"] = "x"


@checkpoint("a position before the beginning")
def negative_position(content: Content) -> None:
    for name in content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]:
        content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"][name] = -5


@checkpoint("an epoch that never was")
def far_epoch(content: Content) -> None:
    for part in content["loops"]["fit_loop"]["epoch_progress"].values():
        part.update(dict.fromkeys(part, 10**30))


@checkpoint("no word of who wrote it")
def no_origin(content: Content) -> None:
    del content["callbacks"]["Checkpoints"]


@checkpoint("an origin that divides by nothing")
def no_pieces(content: Content) -> None:
    content["callbacks"]["Checkpoints"]["origin"]["pieces"] = 0


@checkpoint("rows that are none")
def text_rows(content: Content) -> None:
    content["callbacks"]["EpochRecord"]["rows"] = "rows"


@checkpoint("no optimizer")
def no_optimizer(content: Content) -> None:
    content["optimizer_states"] = [{}]


@checkpoint("best weights in a file elsewhere")
def best_elsewhere(content: Content) -> None:
    content["callbacks"]["BestEpoch"]["number"] = "../../secret"
