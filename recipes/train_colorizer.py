"""Train the colorizer: a U-Net that finds the colours a and b of a picture from its lightness L.

python recipes/train_colorizer.py            # the whole training; a run that was stopped goes on
python recipes/train_colorizer.py --fresh    # from the beginning, whatever is kept
python recipes/train_colorizer.py --quick    # a minute; says whether the loss falls
python recipes/train_colorizer.py --measure  # the figures of the shipped checkpoint once more
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from _train import Recipe, Training, main

import dlip
from dlip.color import chroma, lab_to_rgb, normalize, predict_lab, rgb_to_lab, to_gamut
from dlip.data import colorization_crops, colorization_cutouts, colorization_photographs

ARGUMENTS = {"channels_in": 1, "channels_out": 2, "width": 12, "depth": 4}
STEPS, QUICK_STEPS = 2400, 60
BATCH, SIZE, RATE = 16, 64, 2e-3


class Colorization(Training):
    """The training: pieces of photographs and pasted cut-outs; L goes in, a and b are wanted."""

    def __init__(
        self,
        quick: bool,
        steps: int = STEPS,
        loss: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
    ) -> None:
        """Make the network, its optimizer and the pictures."""
        self.model = dlip.models.UNet(**ARGUMENTS)
        self.model.to(memory_format=torch.channels_last)  # a little quicker on a processor
        self.steps = QUICK_STEPS if quick else steps
        self.loss = loss
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=0.01)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=RATE, total_steps=self.steps, pct_start=0.1
        )
        self.photographs = colorization_photographs("train")
        self.cut = colorization_cutouts("train")

    def step(self, number: int) -> dict[str, float]:
        """Draw a batch and make one step."""
        images = colorization_crops(self.photographs, self.cut, BATCH, SIZE)
        lab = normalize(rgb_to_lab(images)).contiguous(memory_format=torch.channels_last)
        loss = self.loss(self.model(lab[:, :1]), lab[:, 1:])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return {"loss": loss.item()}


def pictures(group: str, part: str = "test") -> list[tuple[Tensor, Tensor]]:
    """Return pictures to measure with, (3, H, W), and which of their pixels count, (1, H, W).

    "cutouts": on a plain gray, of which no pixel counts. "regions": of photographs of which
    other regions were trained with. "unseen": the photographs kept apart as a whole.
    """
    if group == "cutouts":
        images = colorization_cutouts(part).images
        return [(i[3:] * i[:3] + (1 - i[3:]) * 0.5, i[3:] > 0.5) for i in images]
    photographs = colorization_photographs("unseen" if group == "unseen" else part)
    small = []
    for photograph in photographs.values():  # 160 pixels are the size of the cut-outs
        scale = 160 / min(photograph.shape[1:])
        sides = [round(scale * side) for side in photograph.shape[1:]]
        picture = F.interpolate(photograph[None], sides, mode="bilinear", antialias=True)[0]
        small.append((picture.clamp(0, 1), torch.ones(1, *sides, dtype=torch.bool)))
    return small


def mean_colour() -> Tensor:
    """Return the mean a and b of what is trained with, (2,), by a thousand pictures."""
    generator = torch.Generator().manual_seed(0)
    photographs, cut = colorization_photographs("train"), colorization_cutouts("train")
    lab = rgb_to_lab(colorization_crops(photographs, cut, 1000, 32, generator))
    return lab[:, 1:].mean(dim=(0, 2, 3))


def psnr(guess: Tensor, lab: Tensor, where: Tensor) -> float:
    """Return the PSNR in RGB of the pixels that count, in dB."""
    error = lab_to_rgb(to_gamut(guess)) - lab_to_rgb(lab)
    return -10 * error[where.expand_as(lab)].square().mean().log10().item()


def measure(model: nn.Module, part: str = "test", side: int = 80) -> dict[str, float]:
    """Measure on pictures that the training has not seen: mean PSNR, and total chroma."""
    mean = mean_colour()[:, None, None]
    figures = {}
    for group in ("cutouts", "regions", "unseen"):
        rows = []
        for picture, where in pictures(group, part):
            lab = rgb_to_lab(picture)
            with torch.no_grad():
                guess = predict_lab(model, picture, side)
            gray = torch.cat([lab[:1], torch.zeros_like(lab[1:])])
            flat = torch.cat([lab[:1], mean.expand_as(lab[1:])])
            rows.append(
                [psnr(answer, lab, where) for answer in (guess, gray, flat)]
                + [chroma(colour)[where].mean().item() for colour in (guess, lab)]
            )
        network, gray, flat, painted, true = torch.tensor(rows).mean(dim=0).tolist()
        figures |= {
            f"{group}_psnr": network,
            f"{group}_psnr_gray": gray,
            f"{group}_psnr_mean_colour": flat,
            f"{group}_chroma": painted / true,
        }
    return {name: round(figure, 3) for name, figure in figures.items()}


RECIPE = Recipe(
    name="colorizer",
    about="Colorizer: U-Net that finds a and b of a picture from its lightness L",
    paper="O. Ronneberger et al., 2015 (the network); R. Zhang et al., 2016 (L to ab)",
    data="pieces of 6 photographs (astronaut, rocket, hubble; brick, grass, gravel, gray ones "
    "that were tinted) and 85 cut-outs (birds, flowers, fruits, mammals)",
    limits="It has seen 91 pictures. Of anything else the colours are guesses, often orange.",
    model_class="UNet",
    arguments=ARGUMENTS,
    start=Colorization,
    measure=measure,
    tolerance={
        f"{group}_{name}": size
        for group in ("cutouts", "regions", "unseen")
        for name, size in {
            "psnr": 0.1,
            "psnr_gray": 0.01,
            "psnr_mean_colour": 0.02,
            "chroma": 0.02,
        }.items()
    },
    code=(
        "recipes/train_colorizer.py",
        "dlip/color.py",
        "dlip/models/unet.py",
        "dlip/data/colorization.py",
        "dlip/data/cutouts.py",
        "dlip/data/files/cutouts.zip",
    ),
)

if __name__ == "__main__":
    main(RECIPE, __doc__)
