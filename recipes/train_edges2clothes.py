"""Train pix2pix on line drawings of clothes: a U-Net that paints, a PatchGAN that judges.

python recipes/train_edges2clothes.py [--quick | --fresh | --measure]
"""

from functools import cache

import torch
import torch.nn.functional as F
from _train import Recipe, Training, main
from torch import Tensor, nn

import dlip

GENERATOR = {"channels_in": 1, "channels_out": 1, "width": 16, "depth": 2}
DISCRIMINATOR = {"channels_in": 2, "width": 32, "layers": 1}
STEPS = 4000
BATCH = 16
WEIGHT = 50.0
"""Of the L1 difference, λ in the paper, for values from 0 to 1."""

LR = 1e-3
"""Of both networks; in the second half of the training it falls to 0 along a line."""

TRAIN = 5400
"""Pictures to train with; the numbers above were chosen by the last 600 of the 6,000."""


class Pix2Pix(Training):
    """One training; without a discriminator if `adversarial` is False."""

    parts = ("model", "discriminator", "generator_optimizer", "discriminator_optimizer")

    def __init__(self, quick: bool, adversarial: bool = True) -> None:
        """Make both networks, with their optimizers, and load the pictures."""
        self.steps = 100 if quick else STEPS
        self.adversarial = adversarial
        self.pictures = dlip.data.fashion("train")[0][: 640 if quick else TRAIN]
        self.drawings = dlip.data.line_drawings(self.pictures)
        self.model = dlip.models.UNet(**GENERATOR).to(memory_format=torch.channels_last)
        self.discriminator = dlip.models.PatchGAN(**DISCRIMINATOR).to(
            memory_format=torch.channels_last
        )
        self.generator_optimizer = torch.optim.Adam(self.model.parameters(), LR, betas=(0.5, 0.999))
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), LR, betas=(0.5, 0.999)
        )

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return some drawings and their pictures, about half of them mirrored."""
        chosen = torch.randint(len(self.pictures), (BATCH,))
        mirrored = torch.rand(BATCH, 1, 1, 1) < 0.5
        pairs = torch.cat([self.drawings[chosen], self.pictures[chosen]], dim=1)
        pairs = torch.where(mirrored, pairs.flip(3), pairs)
        return pairs[:, :1].contiguous(), pairs[:, 1:].contiguous()

    def step(self, number: int) -> dict[str, float]:
        """Let the generator paint, then improve the discriminator, then the generator."""
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            optimizer.param_groups[0]["lr"] = LR * min(1.0, 2 - 2 * number / self.steps)
        drawings, pictures = self.batch()
        painted = self.model(drawings).sigmoid()
        l1 = F.l1_loss(painted, pictures)
        if not self.adversarial:
            _improve(self.generator_optimizer, l1)
            return {"l1": l1.item()}
        real = self.discriminator(torch.cat([drawings, pictures], dim=1))
        fake = self.discriminator(torch.cat([drawings, painted.detach()], dim=1))
        judging = dlip.gan.discriminator_loss(real, fake)
        _improve(self.discriminator_optimizer, judging)
        self.discriminator.requires_grad_(False)  # its gradients are not needed here
        scores = self.discriminator(torch.cat([drawings, painted], dim=1))
        _improve(
            self.generator_optimizer, dlip.gan.generator_loss(scores, painted, pictures, WEIGHT)
        )
        self.discriminator.requires_grad_(True)
        deceiving = F.softplus(-scores).mean()
        return {"l1": l1.item(), "discriminator": judging.item(), "generator": deceiving.item()}


def _improve(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@cache
def classifier() -> nn.Module:
    """Return a network that names clothes; it has learnt from real pictures only."""
    dlip.env.seed(0)
    model = dlip.models.DigitCNN()
    train = dlip.data.fashion("train")
    dlip.train.fit(model, train, epochs=6, batch_size=50, lr=0.002, progress=False)
    return model


def measure(model: nn.Module) -> dict[str, float]:
    """Paint the drawings of the 1,000 test pictures; how near is it, and how real?"""
    pictures, labels = dlip.data.fashion("test")
    drawings = dlip.data.line_drawings(pictures)
    name = classifier()
    with torch.no_grad():
        painted = torch.cat([model(part).sigmoid() for part in drawings.split(100)])
        right, right_real = (
            (name(views).argmax(dim=1) == labels).float().mean().item()
            for views in (painted, pictures)
        )
    return {
        "l1": F.l1_loss(painted, pictures).item(),
        "psnr": -10 * F.mse_loss(painted, pictures).log10().item(),
        "gradient_distance": dlip.gan.gradient_distance(painted, pictures),
        "classified": right,
        "classified_real": right_real,
    }


RECIPE = Recipe(
    name="edges2clothes",
    about="pix2pix: paints clothes into line drawings of 28×28 pixels, trained with L1 and GAN",
    paper="P. Isola et al., Image-to-image translation with conditional adversarial networks, 2017",
    data="5,400 pictures of Fashion-MNIST and their edges, half of the time mirrored",
    limits="invents shades and patterns; for white lines on black, drawn by Canny's detector",
    model_class="UNet",
    arguments=GENERATOR,
    start=Pix2Pix,
    measure=measure,
    tolerance={
        "l1": 0.002,
        "psnr": 0.2,
        "gradient_distance": 0.01,
        "classified": 0.03,
        "classified_real": 0.02,
    },
    code=(
        "recipes/train_edges2clothes.py",
        "dlip/gan.py",
        "dlip/models/unet.py",
        "dlip/models/patch_gan.py",
        "dlip/data/drawings.py",
        "dlip/data/files/fashion.npz",
    ),
)

if __name__ == "__main__":
    main(RECIPE, __doc__)
