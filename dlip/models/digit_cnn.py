"""A small network of the classical form: convolutions first, linear layers last."""

from collections import OrderedDict

from torch import Tensor, nn

from dlip._check import describe, integer

__all__ = ["DigitCNN"]


class DigitCNN(nn.Module):
    """Sort gray pictures of 28×28 pixels, such as handwritten digits, into classes.

    ==================================  ==========  ==========
    layer                               output      parameters
    ==================================  ==========  ==========
    convolution 3×3, 1 → 10, and ReLU   10×26×26    100
    max pooling 2×2                     10×13×13
    convolution 3×3, 10 → 20, and ReLU  20×11×11    1,820
    max pooling 2×2                     20×5×5
    flatten                             500
    linear, and ReLU                    50          25,050
    linear                              10          510
    ==================================  ==========  ==========

    Nothing is padded: each convolution makes the picture smaller by 2 pixels, and the second
    pooling leaves out the eleventh row and column.

    Parameters
    ----------
    classes
        Number of classes, at least 1.
    dropout
        If above 0: each of the 50 values is set to 0 with this probability while training.

    Attributes
    ----------
    features : nn.Sequential
        `conv1`, `relu1`, `pool1`, `conv2`, `relu2`, `pool2`.
    classifier : nn.Sequential
        `flatten`, `hidden`, `relu`, `dropout` (only if asked for), `output`.

    Raises
    ------
    TypeError, ValueError
        If `classes` is no integer from 1 on, or `dropout` is not in 0 ≤ dropout < 1.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to
    document recognition", Proceedings of the IEEE 86(11), 1998, for the form.

    Examples
    --------
    >>> import dlip
    >>> model = dlip.models.DigitCNN()
    >>> images, labels = dlip.data.digits("val")
    >>> model.features(images[:8]).shape, model(images[:8]).shape
    (torch.Size([8, 20, 5, 5]), torch.Size([8, 10]))
    """

    def __init__(self, classes: int = 10, dropout: float = 0.0) -> None:
        """Make the layers, with PyTorch's random weights."""
        super().__init__()
        integer(classes, "classes", least=1)
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)):
            raise TypeError(f"expected dropout to be a number, got {describe(dropout)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"expected dropout to be at least 0 and below 1, got {dropout}")
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(1, 10, kernel_size=3),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(10, 20, kernel_size=3),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(flatten=nn.Flatten(), hidden=nn.Linear(20 * 5 * 5, 50), relu=nn.ReLU())
        )
        if dropout > 0:
            self.classifier.add_module("dropout", nn.Dropout(dropout))
        self.classifier.add_module("output", nn.Linear(50, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return one score (logit) for each class: (N, 1, 28, 28) → (N, classes)."""
        scores: Tensor = self.classifier(self.features(images))
        return scores
