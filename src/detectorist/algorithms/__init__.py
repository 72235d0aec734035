"""Pure functions of arrays: they open no files, log nothing and do not modify their input."""
