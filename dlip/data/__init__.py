"""Pictures to work with: photographs, cut-outs, digits, clothes, and your own files.

Everything here runs without a network, except `image_folder` when it is given an address.
Where each shipped file comes from, its licence and its SHA-256 stand in `manifest()`.
"""

from dlip.data.colorization import (
    colorization_crops,
    colorization_cutouts,
    colorization_photographs,
)
from dlip.data.cutouts import SCENES, Cutouts, cutouts, cutouts_folder, paste, scene
from dlip.data.digit_scenes import digit_scenes
from dlip.data.digits import digits
from dlip.data.drawings import line_drawings
from dlip.data.fashion import FASHION_CLASSES, fashion
from dlip.data.folder import PhotoFolder, PhotoSplit, Skipped, image_folder
from dlip.data.manifest import Entry, manifest, verify
from dlip.data.samples import load_image, sample_image, sample_names
from dlip.data.studies import study

__all__ = [
    "FASHION_CLASSES",
    "SCENES",
    "Cutouts",
    "Entry",
    "PhotoFolder",
    "PhotoSplit",
    "Skipped",
    "colorization_crops",
    "colorization_cutouts",
    "colorization_photographs",
    "cutouts",
    "cutouts_folder",
    "digit_scenes",
    "digits",
    "fashion",
    "image_folder",
    "line_drawings",
    "load_image",
    "manifest",
    "paste",
    "sample_image",
    "sample_names",
    "scene",
    "study",
    "verify",
]
