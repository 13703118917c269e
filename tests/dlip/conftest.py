"""Settings that keep the tests of dlip quick and the same every time."""

import torch
from hypothesis import settings

# Small pictures: several threads would only wait for one another on a busy machine.
torch.set_num_threads(1)

settings.register_profile("dlip", max_examples=40, deadline=None, derandomize=True)
settings.load_profile("dlip")
