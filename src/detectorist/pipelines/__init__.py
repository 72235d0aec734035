"""The order of steps: one pipeline per mode, and the recipes they run."""
