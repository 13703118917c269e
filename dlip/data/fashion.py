"""Pictures of clothes: 7,000 pictures of Fashion-MNIST."""

from typing import Literal

from torch import Tensor

from dlip.data._splits import load_split

__all__ = ["FASHION_CLASSES", "fashion"]

FASHION_CLASSES: tuple[str, ...] = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
"""What the labels 0 to 9 of `fashion` mean."""


def fashion(split: Literal["train", "test"] = "train") -> tuple[Tensor, Tensor]:
    """Return pictures of clothes and their classes: a small part of Fashion-MNIST.

    Same size and format as `digits`, but harder. In each part the classes come in turn,
    0, 1, 2, …, 9, 0, 1, …, so the first n pictures hold each class equally often. Shuffle
    before training.

    Parameters
    ----------
    split
        `"train"`: 6,000 pictures, the first 600 of each class in the original training set;
        `"test"`: 1,000 pictures, the first 100 of each class in the original test set.

    Returns
    -------
    images : Tensor
        Shape (N, 1, 28, 28), float32, from 0 (background) to 1.
    labels : Tensor
        Shape (N,), int64, from 0 to 9; `FASHION_CLASSES` holds their names.

    Raises
    ------
    ValueError
        If there is no such split, or the shipped file is damaged.

    Notes
    -----
    Made by `recipes/make_fashion.py`.

    References
    ----------
    H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
    machine learning algorithms", arXiv:1708.07747, 2017.

    Examples
    --------
    >>> import dlip
    >>> images, labels = dlip.data.fashion("test")
    >>> images.shape, dlip.data.FASHION_CLASSES[labels[9]]
    (torch.Size([1000, 1, 28, 28]), 'ankle boot')
    """
    return load_split("fashion", split, ("train", "test"))
