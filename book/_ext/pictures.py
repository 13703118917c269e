"""Every picture has an alt text, a width and a height, and loads when it is needed.

Width and height let the browser keep the place free, so nothing moves when the picture
arrives. A picture without an alt text is reported with the line of its cell or figure.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
from pathlib import Path

from docutils import nodes
from locations import location
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

PIXELS_PER_POINT = 1.5
"""Picture pixels for each CSS pixel: a figure 7 inches wide, at 144 dpi, fills the text's width."""


class CheckAltText(SphinxPostTransform):
    """Report a picture that a blind reader would not learn about."""

    default_priority = 8  # right after MyST-NB has chosen each output's format

    def run(self, **kwargs: object) -> None:
        """Look at every picture of the page."""
        for image in self.document.findall(nodes.image):
            alt = image.get("alt", "")
            if not alt.strip() or alt == image.get("uri"):
                logger.warning(
                    "picture without alt text: say what is to be seen (mystnb: image: alt)",
                    location=location(image, self.env.docname),
                    type="book",
                    subtype="alt_text",
                )


def size_in_css_pixels(path: Path) -> tuple[int, int] | None:
    """Return the width and height at which a picture file is shown."""
    if path.suffix == ".svg":
        head = path.read_text(encoding="utf-8")[:2000]
        box = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', head)
        return (round(float(box[1])), round(float(box[2]))) if box else None
    with Image.open(path) as picture:
        width, height = picture.size
    return round(width / PIXELS_PER_POINT), round(height / PIXELS_PER_POINT)


def as_webp(content: bytes, cache: Path) -> Path:
    """Return the picture as WebP, without loss where that is smaller (plots, tables).

    All languages share the cache; a file in it is named by what is in the picture.
    """
    target = cache / f"{hashlib.sha256(content).hexdigest()}.webp"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        encoded = []
        with Image.open(io.BytesIO(content)) as picture:
            for form in ({"lossless": True}, {"quality": 82, "use_sharp_yuv": True}):
                buffer = io.BytesIO()
                picture.save(buffer, "WEBP", method=4, **form)
                encoded.append(buffer.getvalue())
        unfinished = target.with_suffix(f".{os.getpid()}")  # languages are written at one time
        unfinished.write_bytes(min(encoded, key=len))
        unfinished.replace(target)
    return target


def visit_image(self: HTML5Translator, node: nodes.image) -> None:
    """Write an <img> with its size, of a picture in a modern format."""
    uri = node["uri"]
    source = Path(self.builder.srcdir, uri)  # an absolute path stays what it is
    if uri in self.builder.images:
        name = self.builder.images[uri]
        if source.suffix in (".png", ".jpg", ".jpeg"):
            del self.builder.images[uri]  # Sphinx need not copy the original
            name = f"{Path(name).stem}.webp"
            folder = Path(self.builder.outdir, self.builder.imagedir)
            folder.mkdir(parents=True, exist_ok=True)
            cache = Path(self.builder.doctreedir).parents[1] / "cache" / "pictures"
            shutil.copyfile(as_webp(source.read_bytes(), cache), folder / name)
        uri = f"{self.builder.imgpath}/{name}"
    attributes = {"src": uri, "alt": node.get("alt", ""), "decoding": "async"}
    if source.exists() and (size := size_in_css_pixels(source)):
        attributes["width"], attributes["height"] = map(str, size)
    seen = getattr(self, "pictures_seen", 0)
    self.pictures_seen = seen + 1
    if seen:  # the first picture may be above the fold
        attributes["loading"] = "lazy"
    self.body.append(self.emptytag(node, "img", "", **attributes))


def depart_image(self: HTML5Translator, node: nodes.image) -> None:
    """Nothing to close."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_post_transform(CheckAltText)
    app.add_node(nodes.image, override=True, html=(visit_image, depart_image))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
