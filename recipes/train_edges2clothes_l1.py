"""Train the generator of `train_edges2clothes.py` without a discriminator, for comparison.

python recipes/train_edges2clothes_l1.py [--quick | --fresh | --measure]
"""

from dataclasses import replace

import train_edges2clothes as gan
from _train import main

RECIPE = replace(
    gan.RECIPE,
    name="edges2clothes_l1",
    about="the generator of edges2clothes, trained with the L1 difference alone",
    limits="paints the middle of what is likely, gray and blurred",
    start=lambda quick: gan.Pix2Pix(quick, adversarial=False),
    code=("recipes/train_edges2clothes_l1.py", *gan.RECIPE.code),
)

if __name__ == "__main__":
    main(RECIPE, __doc__)
