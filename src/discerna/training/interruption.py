"""Signals that wait until a step has ended, so that a checkpoint can be written first."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

from discerna import slurm

LOG = logging.getLogger("discerna")


class Interruption:
    """Notes that SIGINT, SIGTERM or SLURM's SIGUSR1 has come; a second Ctrl-C does not wait."""

    def __init__(self) -> None:
        self.number = 0
        """The signal that has come; 0: none."""
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Note signals from now on; where another thread than the main one trains, nothing is noted."""
        if threading.current_thread() is not threading.main_thread() or self._before:
            return
        wanted = [signal.SIGINT, signal.SIGTERM]
        if slurm.is_slurm():
            wanted.append(slurm.ANNOUNCEMENT)
        for number in wanted:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores on purpose
                self._before[number] = signal.signal(number, self._note)

    def leave(self) -> None:
        """Let signals do what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT == self.number:
            raise KeyboardInterrupt
        # A system that wants a process to end may say so several times: that is no reason for haste.
        if not self.number:
            self.number = number
            name = signal.Signals(number).name
            again = "; Ctrl-C again stops at once" if number == signal.SIGINT else ""
            # Not from here: the signal may have come in the midst of another message.
            threading.Thread(target=LOG.info, args=("%s: stopping after this step%s", name, again)).start()
