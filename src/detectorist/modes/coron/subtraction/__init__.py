"""Star subtraction: images of reference stars fitted to those of the target, contrast, companions."""
