"""Many exposures, processes and disks."""
