"""Where did the model look? Methods that explain one decision of a classifier.

=====================  =============================================================
`occlusion`            cover a part of the image: by how much does the score fall?
`cam`                  weighted sum of the last feature maps, for networks that end in
                       global average pooling and one linear layer
`grad_cam`             the same for every convolutional network, weighted by gradients
`lime`                 switch superpixels on and off, fit a linear model to the scores
`superpixels`          divide an image into regions of similar colour, for `lime`
`deletion_insertion`   how good is an explanation? Take away what it calls important
`overlay`              lay an explanation over the image
=====================  =============================================================

Those that explain take the model and its preprocessed input: `image` is a Tensor[C, H, W] as
the model expects it, in its own units. `target` is a class; None stands for the class that
the model predicts. An explanation is a Tensor[H, W]: one value for each pixel of the image.

The model may be in training mode and on any device. It is evaluated, and left as it was.
"""

import warnings

with warnings.catch_warnings():  # that a notebook has no widgets, for progress bars not used
    warnings.filterwarnings("ignore", message="IProgress not found")
    import captum.attr  # noqa: F401

from dlip.explain.cam import cam
from dlip.explain.curves import Curves, deletion_insertion
from dlip.explain.grad_cam import grad_cam
from dlip.explain.lime import lime, superpixels
from dlip.explain.occlusion import occlusion
from dlip.explain.overlay import overlay

__all__ = [
    "Curves",
    "cam",
    "deletion_insertion",
    "grad_cam",
    "lime",
    "occlusion",
    "overlay",
    "superpixels",
]
