"""What simulations of several modes share: detectors, time, random numbers, reference and truth files."""
