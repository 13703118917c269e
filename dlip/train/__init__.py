"""Training: the loop, what it writes down, and how good the result is.

=================  ================================================================
`fit`              train a model: one call for a processor, a GPU, or several
`EarlyStopping`    when to stop, and which weights to keep
`History`          what happened in each epoch: plain lists that plot themselves
`evaluate`         loss, accuracy and confusion matrix on pictures not trained with
`lr_range_test`    try out learning rates, from small to large
=================  ================================================================

Data are a pair of tensors (images, targets), a `torch.utils.data.Dataset` of such pairs, or
a `DataLoader`. `dlip/train/fit.py` is meant to be read: it holds the whole loop.
"""

import warnings

with warnings.catch_warnings():  # that a notebook has no widgets, for progress bars not used
    warnings.filterwarnings("ignore", message="IProgress not found")
    import accelerate.utils  # noqa: F401

from dlip.train.early_stopping import EarlyStopping
from dlip.train.evaluate import Evaluation, evaluate
from dlip.train.fit import fit
from dlip.train.history import History
from dlip.train.range_test import RangeTest, lr_range_test

__all__ = [
    "EarlyStopping",
    "Evaluation",
    "History",
    "RangeTest",
    "evaluate",
    "fit",
    "lr_range_test",
]
