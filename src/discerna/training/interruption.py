"""Signals that wait until a step has ended, so that a checkpoint can be written first."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType

from discerna import slurm

LOG = logging.getLogger("discerna")


class Interruption:
    """Notes that SIGINT, SIGTERM or SLURM's SIGUSR1 has come; a second Ctrl-C does not wait."""

    def __init__(self) -> None:
        self.number = 0
        """The signal that has come; 0: none."""
        # As it was before Lightning put its own handlers in place: those must not outlive its training.
        wanted = [signal.SIGINT, signal.SIGTERM]
        if slurm.is_slurm():
            wanted.append(slurm.ANNOUNCEMENT)
        self._outside = {number: signal.getsignal(number) for number in wanted}
        self._listens = False

    def listen(self) -> None:
        """Note signals from now on; where another thread than the main one trains, nothing is noted."""
        if threading.current_thread() is not threading.main_thread() or self._listens:
            return
        self._listens = True
        for number, outside in self._outside.items():
            if outside != signal.SIG_IGN:  # nohup ignores on purpose
                signal.signal(number, self._note)

    def leave(self) -> None:
        """Let signals do what they did before the training."""
        if self._listens:
            for number, outside in self._outside.items():
                signal.signal(number, outside)
        self._listens = False

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
