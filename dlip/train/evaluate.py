"""How good a model is on data that it was not trained with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from accelerate import PartialState
from torch import Tensor, nn

from dlip._check import integer
from dlip._model import check_model, run, undisturbed
from dlip.train._batches import Batches, Data, as_batches
from dlip.train._loss import Loss, are_classes, compare
from dlip.train._meter import Meter
from dlip.train._setup import join_processes, on_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What `evaluate` found out. `print` shows it in a line.

    Attributes
    ----------
    count
        Number of pictures.
    loss
        Mean loss.
    accuracy
        Part of the right answers, 0 to 1; None if the targets are no classes.
    confusion
        Shape (classes, classes), int64, on the CPU: row i, column j counts the targets of
        class i that the model took for class j. None if the targets are no classes.
    """

    count: int
    loss: float
    accuracy: float | None
    confusion: Tensor | None

    @property
    def class_accuracy(self) -> Tensor:
        """Part of right answers for each true class: (classes,); NaN for one without pictures."""
        if self.confusion is None:
            raise ValueError("there is no accuracy of classes: the targets are no classes")
        return self.confusion.diagonal() / self.confusion.sum(1)

    def plot(self, names: "Sequence[str] | None" = None) -> "Figure":
        """Draw the confusion matrix: `dlip.plot.confusion_matrix(result.confusion, names)`."""
        from dlip.plot import confusion_matrix  # only here, because Matplotlib takes its time

        if self.confusion is None:
            raise ValueError("there is no confusion matrix: the targets are no classes")
        return confusion_matrix(self.confusion, names)

    def __str__(self) -> str:
        """Say it in a line."""
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.2%}"
        return f"{self.count} pictures: loss {self.loss:.4f}{accuracy}"

    __repr__ = __str__


def evaluate(
    model: nn.Module, data: Data, *, loss: Loss = F.cross_entropy, batch_size: int = 256
) -> Evaluation:
    """Measure loss, accuracy and confusions of a model.

    The model is run in evaluation mode on the fastest device, without gradients, and left as
    it was. With several processes each looks at a part of the pictures, every picture is
    counted once, and all get the same result.

    Parameters
    ----------
    model
        Takes images (N, …). For classes it returns scores (N, classes); or, if each picture
        has many targets (N, H, W), scores (N, classes, H, W).
    data
        Two tensors (images, targets), a `Dataset` of such pairs, or a `DataLoader`.
    loss
        A function of scores and targets that returns the mean over the batch.
    batch_size
        So many pictures at a time; a `DataLoader` has its own.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError
        If an argument has the wrong type, images are no floating-point values, or targets
        are no integers with the default loss.
    ValueError
        If `data` is empty, the model cannot take the images, or targets do not fit.
    FloatingPointError
        If the loss is NaN or infinite.

    References
    ----------
    The confusion matrix is TorchMetrics': N. S. Detlefsen et al., "TorchMetrics – measuring
    reproducibility in PyTorch", Journal of Open Source Software 7(70), 2022.

    Examples
    --------
    >>> import torch, dlip
    >>> scores = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    >>> result = dlip.train.evaluate(torch.nn.Identity(), (scores, torch.tensor([0, 1, 1])))
    >>> result.accuracy, result.confusion
    (0.6666666666666666, tensor([[1, 0],
            [1, 1]]))
    """
    check_model(model)
    integer(batch_size, "batch_size", least=1)
    device = join_processes().device
    batches = as_batches(data, "evaluation", batch_size)
    confusion = Confusion()
    with undisturbed(model), on_device(device, model, loss):
        meter = measure(model, batches, loss, confusion)
    return Evaluation(meter.samples, meter.loss, meter.accuracy, confusion.matrix())


class Confusion:
    """TorchMetrics' confusion matrix, of which the first scores show the number of classes."""

    def __init__(self) -> None:
        self.metric: Any = None

    def add(self, scores: Tensor, targets: Tensor) -> None:
        """Count a batch, if its targets are classes."""
        if not are_classes(scores, targets):
            return
        if self.metric is None:
            # Imported only here: it takes seconds.
            from torchmetrics.classification import MulticlassConfusionMatrix

            self.metric = MulticlassConfusionMatrix(scores.shape[1], validate_args=False)
            self.metric.to(scores.device)
        self.metric.update(scores.argmax(1), targets)

    def matrix(self) -> Tensor | None:
        """Return the counts of all processes together."""
        if self.metric is None:
            return None
        matrix: Tensor = self.metric.compute()
        return matrix.cpu()


@torch.no_grad()
def measure(
    model: nn.Module, batches: Batches, loss: Loss, confusion: Confusion | None = None
) -> Meter:
    """Run a model over all batches, in evaluation mode, where it stays."""
    device, meter = PartialState().device, Meter("validation batch")
    model.eval()
    for images, targets, share in batches:
        if share == 0:  # pictures that another process counts
            continue
        scores = run(model, images.to(device))
        value, hits = compare(scores, targets, loss)
        meter.add(value, hits, len(targets), targets.numel())
        if confusion is not None:
            confusion.add(scores, targets.to(device))
    meter.finish()
    return meter
