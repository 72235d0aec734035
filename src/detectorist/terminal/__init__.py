"""What all commands share: output lines, progress bars, options."""
