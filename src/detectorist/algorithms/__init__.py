"""Functions of arrays: nothing opened, nothing logged, nothing modified."""
