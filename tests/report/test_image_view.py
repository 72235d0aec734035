"""Images with axes: an image that was averaged before is drawn as the whole image is."""

import re

import numpy as np

from detectorist.figures.picture import Picture
from detectorist.figures.stretch import Stretch, shrink
from detectorist.report import image_view


def test_an_average_is_drawn_as_the_image_that_it_is_of(rng):
    image = rng.normal(size=(600, 450)).astype(np.float32)
    stretch = Stretch(-1, 1)
    whole = image_view.draw(Picture(image, "a", stretch), largest_pix=100)
    averaged = image_view.draw(Picture(shrink(image, 100), "a", stretch, block=6), largest_pix=100)
    assert averaged == whole
    ticks = [int(found) for found in re.findall(r'text-anchor="middle">(\d+)</text>', averaged)]
    assert max(ticks) == 400
