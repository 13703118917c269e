"""Train FastStyle: one network that paints any picture in one of several styles, in one pass.

python recipes/train_fast_style.py            # the whole training; a run that was stopped goes on
python recipes/train_fast_style.py --fresh    # from the beginning, whatever is kept
python recipes/train_fast_style.py --quick    # a minute; says whether the loss falls
python recipes/train_fast_style.py --measure  # the figures of the shipped checkpoint once more

The weight of the style, `dlip.style.FAST_BETA`, was chosen by eye: with 30 instead of 4 the
style is met more closely and the photograph can hardly be recognized.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from _train import Recipe, Training, main

import dlip
from dlip.style import FAST_BETA, STYLES, gram, style_picture

ARGUMENTS = {"width": 16, "blocks": 3}
STEPS, QUICK_STEPS = 1500, 30
SIZE, RATE = 96, 2e-3
TRAIN = (
    "rocket", "camera", "coins", "clock", "hubble", "retina", "brick", "gravel", "text", "cell",
)  # fmt: skip
TEST = ("cat", "astronaut")
UNSEEN = "grass"
OPTIMIZATION_STEPS = 40


class FastStyleTraining(Training):
    """The training: pieces of photographs, each painted in one style, all styles in each step."""

    def __init__(self, quick: bool) -> None:
        """Make the network, its optimizer, the photographs and the Gram matrices."""
        self.model = dlip.models.FastStyle(**ARGUMENTS)
        self.steps = QUICK_STEPS if quick else STEPS
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=RATE, total_steps=self.steps, pct_start=0.1
        )
        self.photographs = [dlip.data.sample_image(name) for name in TRAIN]
        self.styles = torch.stack([style_picture(name) for name in STYLES])
        self.features = dlip.style.painting_features()
        with torch.no_grad():
            self.grams = [gram(maps) for maps in self.features(self.styles)]

    def step(self, number: int) -> dict[str, float]:
        """Paint one piece in each style, and make one step."""
        pieces = torch.stack([piece(self.photographs) for _ in STYLES])
        painted = self.model(pieces, self.styles)
        content, style = self.losses(painted, pieces)
        loss = content + FAST_BETA * style
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return {"loss": loss.item(), "content": content.item(), "style": style.item()}

    def losses(self, painted: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """Return content and style loss, averaged over the batch."""
        with torch.no_grad():
            wanted = self.features(pieces)
        return dlip.style.losses(self.features(painted), wanted, self.grams)


def piece(photographs: list[Tensor]) -> Tensor:
    """Return a random square of a photograph, mirrored or not, with its colours or with two."""
    whole = photographs[int(torch.randint(len(photographs), ()))]
    longest = min(whole.shape[1:])
    side = int(torch.randint(min(SIZE, longest), longest + 1, ()))
    top, left = (int(torch.randint(n - side + 1, ())) for n in whole.shape[1:])
    square = whole[None, :, top : top + side, left : left + side]
    square = F.interpolate(square, size=SIZE, mode="bilinear", antialias=True)[0].clamp(0, 1)
    if torch.rand(()) < 0.5:
        square = square.flip(2)
    if torch.rand(()) < 0.5:  # most photographs are gray: dark becomes one colour, light another
        dark, light = torch.rand(2, 3, 1, 1)
        square = dark + (light - dark) * square.mean(dim=0, keepdim=True)
    return square


def measure(model: nn.Module, photographs: tuple[str, ...] = TEST) -> dict[str, float]:
    """Measure on photographs that the training has not seen, 128 × 128 pixels, in every style."""
    features = dlip.style.painting_features()
    rows: dict[str, list[float]] = {}

    def note(who: str, painted: Tensor, content: Tensor, style: Tensor) -> None:
        with torch.no_grad():
            targets, grams = features(content), [gram(maps) for maps in features(style)]
            found = dlip.style.losses(features(painted), targets, grams)
        for name, value in zip(("content", "style"), found, strict=True):
            rows.setdefault(f"{name}_{who}", []).append(value.item())

    pictures = [dlip.data.sample_image(name, size=128)[None] for name in photographs]
    unseen = dlip.data.sample_image(UNSEEN, size=256)[None, :, :128, :128]
    for picture in pictures:
        for name in STYLES:
            style = style_picture(name)[None]
            with torch.no_grad():
                painted = model(picture, style)
            note("network", painted, picture, style)
            note("unchanged", picture, picture, style)
            if picture is pictures[0]:
                result = dlip.style.transfer(
                    picture[0], style[0], features, beta=FAST_BETA, steps=OPTIMIZATION_STEPS
                )
                note("optimization", result.image[None], picture, style)
                note("network_same", painted, picture, style)
        with torch.no_grad():
            note("unseen", model(picture, unseen), picture, unseen)
    figures = {name: sum(values) / len(values) for name, values in rows.items()}
    return figures | {"optimization_steps": float(OPTIMIZATION_STEPS)}


RECIPE = Recipe(
    name="fast_style",
    about="Paints a picture in one of six styles, in one pass, told by the style's Gram matrix",
    paper="Zhang and Dana, Multi-style generative network for real-time transfer, "
    "ECCV workshops 2018, https://arxiv.org/abs/1703.06953",
    data="pieces of 10 photographs of scikit-image, 96×96 pixels; 6 style pictures out of "
    "photographs of scikit-image, 128×128 pixels",
    limits="Small and trained for minutes: made for pictures of 128 to 256 pixels. It paints the "
    "six styles it has seen; of others it takes over little but the tones.",
    model_class="FastStyle",
    arguments=ARGUMENTS,
    start=FastStyleTraining,
    measure=measure,
    tolerance={
        "content_network": 0.01,
        "style_network": 0.01,
        "content_unchanged": 0.001,
        "style_unchanged": 0.01,
        "content_optimization": 0.02,
        "style_optimization": 0.02,
        "content_network_same": 0.01,
        "style_network_same": 0.01,
        "optimization_steps": 0.0,
        "content_unseen": 0.01,
        "style_unseen": 0.05,
    },
    code=(
        "recipes/train_fast_style.py",
        "dlip/style.py",
        "dlip/models/fast_style.py",
        "dlip/models/efficientnet_lite.py",
    ),
)

if __name__ == "__main__":
    main(RECIPE, __doc__)
