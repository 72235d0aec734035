"""Pure functions of arrays: they open no files, log nothing and do not modify their input."""

from detectorist.libraries.stored_code import read_without_compiler

read_without_compiler()
