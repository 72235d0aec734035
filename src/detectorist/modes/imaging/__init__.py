"""NIRCam imaging: raw ramps to rate images without snowballs, wisps and 1/f noise."""
