"""Make the small font that formulas are set in: STIX Two Math, cut down to what a book uses.

MathML needs a font with tables for stretching brackets and sums. Windows and Apple's
systems have one, Android and most Linux systems have none. The whole font has 403 kB;
the letters and signs of ordinary formulas, with their tables, have a tenth of that.
"""

from __future__ import annotations

from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

SOURCE = Path("node_modules/@fontsource/stix-two-math/files/stix-two-math-latin-400-normal.woff2")
TARGET = Path("_static/fonts/stix-two-math.woff2")

CHARACTERS = [
    *range(0x20, 0x7F),  # Latin
    *range(0x391, 0x3F6),  # Greek
    *range(0x1D434, 0x1D468),  # Latin italic: what <mi> shows
    *range(0x1D6E2, 0x1D71C),  # Greek italic
    *range(0x1D400, 0x1D434),  # Latin bold
    *map(ord, "ℝℤℕℂℎℓ𝓛ℒ±×÷·•…⋯⋮⋱′″∂∇∆∏∑∫√∞∈∉∋⊂⊆∪∩∀∃¬∧∨≈≠≡≤≥≪≫∼≃∝"),
    *map(ord, "→←↔⇒⇔↦⊙⊗⊕∘∗⋆∥∣⌊⌋⌈⌉⟨⟩‖−∓ˆ˜¯ˉ˙¨ˇ⏞⏟∅°µ‾_"),
]


def write(root: Path, pages: Path) -> None:
    """Write the font beside the pages of one language, unless it is there."""
    source, target = root / SOURCE, pages / TARGET
    if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return
    options = subset.Options(flavor="woff2", layout_features=["ssty", "dtls"], hinting=False)
    font = TTFont(source)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    target.parent.mkdir(parents=True, exist_ok=True)
    font.flavor = "woff2"
    font.save(target)
