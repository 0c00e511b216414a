"""Several trainings, one after the other, in each process of a torchrun: what takes the time is to start processes."""

import sys

from discerna import worker

for settings in sys.argv[1:]:
    if code := worker.main([settings, "--networks-module", "tiny_networks"]):
        sys.exit(code)
