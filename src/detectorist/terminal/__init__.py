"""What commands show and share: lines, progress bars, options. No mode and no machinery."""
