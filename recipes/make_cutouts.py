"""Make `dlip/data/files/cutouts.zip`, the cut-out photographs that dlip ships.

    python recipes/make_cutouts.py             # writes the file and its hash in manifest.toml
    python recipes/make_cutouts.py OTHER.zip   # writes elsewhere, leaves the manifest alone

Needs: Pillow and the stamps of Tux Paint, which Debian and Ubuntu package
(`apt-get install tuxpaint-stamps-default`, version 2022.06.04-1). `--source FOLDER` takes them
from elsewhere. Takes about five seconds.

Writes: a zip archive with one folder for each class, in them WebP pictures with transparency.
Each original is cropped to what is not transparent and resized so that its longer side has 160
pixels (many fruits are enlarged: their originals have 50 pixels). The order and the times in the
archive are fixed; the bytes depend only on the originals and on the version of WebP's encoder
(here libwebp 1.6, in Pillow 13).

Which pictures: photographs of whole birds, mammals, flowers and fruits, whose licence is that of
the package. Left out are
- drawings, computer graphics and toys: tucan (birds); dolphin, orca, whale, dog, echidna,
  hedgehog, edward_bear (mammals); everything in folders `cartoon` and `plastic`;
- photographs with drawn grass: indian_blackbuck, tiger_sumatran;
- a photograph with holes: albino_peahen;
- a photograph that is there already, in another colour: apple_red;
- photographs for which the package's changelog names another licence or a source with terms
  of its own: helmeted_guineafowl, heron_greatblue, heron_greatblue_flying, pelican,
  Apricot_whole, Cherry_Stella, Strawberry2, apricot, grapes, pineapple, sliced_lime,
  sliced_orange, adeenia, anthoorium, appooppanthady, bolsom, chemparathi.
Vegetables that are the fruit of a plant (pepper, tomato, …) are among the fruits.

Licence of the data: GNU General Public License, version 2 or later, copyright 2002-2022 Bill
Kendrick and contributors. The pictures made here are derived works under the same licence, whose
text stands in `dlip/data/LICENCES.txt`. These originals and this script are their source code.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

from _npz import DATA, record
from PIL import Image

SOURCE = Path("/usr/share/tuxpaint/stamps")
SOURCE_SHA256 = "b176d9118d9dcdd1d3c09718b8f6b16c55c9d6cf50584f564aabb5f30e72ed9b"
"""Of the originals' bytes, one file after the other in the order below."""

SIDE = 160
QUALITY = 90

FILES = {  # class: {folder of the originals: their names}
    "bird": {
        "animals/birds": "adelaide-rosella blackbird chicken_profile crow crowned_crane cuckoo "
        "drake duck gander guineafowl hen lark little-penguin magellanic_penguin magpie nandou "
        "ostrich owl peacock penguin pigeon pink_flamingo quetzal rainbow-lorikeet rooster "
        "seagull silver-gull turkey vulture",
    },
    "flower": {
        "plants/flowers": "anemone_red daffodil flower1 flower2 flower3 flower4 flower5 flower6 "
        "flower7 flower8 flower9 flower10 iris marigold pigface red-gazania rose "
        "whitestar-petunia yellow-flower",
    },
    "fruit": {
        "food/fruit": "apple_fuji apple_granny_smith apple_green apple_sierra_beauty avocado "
        "banana cherimoya kiwi lemon mandarine mango orange orange_seville pear pomegranate "
        "raspberry strawberry",
        "food/vegetables": "chilepepper eggplant pattypan_squash pepper pumpkin_small tomato "
        "yellowpepper",
    },
    "mammal": {
        "animals/mammals": "badger elephant ferret giraffe hippopotamus pig pig_golden "
        "pig_golden2 rabbit_little rhino_black wildboar",
        "animals/mammals/apes": "chimp gorilla tamarin_emperor",
        "animals/mammals/aquatic": "otter sea_lion",
        "animals/mammals/bears": "bear european-bear",
        "animals/mammals/bovines": "bison bull cow cow_white gnu-baby gnu-baby-stand "
        "gnu-sitting gnu-stand goat mountaingoat ram sheep sheep_lamb yak zebu",
        "animals/mammals/camel": "camel dromedary",
        "animals/mammals/cats": "lion lion-2 tiger",
        "animals/mammals/deer": "caribou deer doe wapiti",
        "animals/mammals/dogs": "dingo fox",
        "animals/mammals/equines": "donkey donkey_eating horse zebra",
        "animals/mammals/rodents": "beaver capybara marmot mouse rabbit rabbit-2 rat squirrel",
    },
}

NOTICE = (
    "Cut-out photographs from Tux Paint's stamps (https://tuxpaint.org/), copyright 2002-2022 "
    "Bill Kendrick and contributors, cropped, resized and saved as WebP in 2026. Free software "
    "under the GNU General Public License, version 2 or (at your option) any later version; "
    "without any warranty. Text of the licence: https://www.gnu.org/licenses/gpl-2.0.txt"
)
"""Stands as the comment of the archive."""


def originals(source: Path) -> dict[str, Path]:
    """Return where each picture's original lies, by the picture's name in the archive."""
    return {
        f"{label}/{name.replace('-', '_')}.webp": source / folder / f"{name}.png"
        for label, folders in FILES.items()
        for folder, names in folders.items()
        for name in names.split()
    }


def check_originals(files: list[Path]) -> None:
    """Stop if an original is missing or not the one this recipe was written for."""
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SystemExit(f"{missing[0]} is missing: apt-get install tuxpaint-stamps-default")
    found = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if found != SOURCE_SHA256:
        raise ValueError(
            f"the originals are those of another version: expected SHA-256 {SOURCE_SHA256}, "
            f"got {found}"
        )


def shrink(file: Path) -> bytes:
    """Read a picture, crop it to what is not transparent, resize it, and return it as WebP."""
    with Image.open(file) as original:
        picture = original.convert("RGBA")
    picture = picture.crop(picture.getchannel("A").getbbox())
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(scale * side)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY, method=4)  # the transparency is kept exactly
    return out.getvalue()


def make(path: Path, source: Path = SOURCE) -> None:
    """Write the cut-out photographs to `path`."""
    files = originals(source)
    check_originals(list(files.values()))
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = NOTICE.encode()
        for name in sorted(files):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix; otherwise it names the system that wrote it
            member.external_attr = 0o644 << 16
            archive.writestr(member, shrink(files[name]))  # not compressed: WebP already is


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, nargs="?", help="default: the file that dlip ships")
    parser.add_argument("--source", type=Path, default=SOURCE, help=f"default: {SOURCE}")
    options = parser.parse_args()
    make(options.path or DATA / "files" / "cutouts.zip", options.source)
    if options.path is None:
        record(DATA / "files" / "cutouts.zip")
