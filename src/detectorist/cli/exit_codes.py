"""Exit codes of the command."""

#: Bad arguments; data that cannot be processed, or a place that is taken; a file that cannot be written (a full disk, a
#: folder that another run holds) or an unexpected error.
BAD_ARGUMENTS, UNPROCESSABLE, CRASHED = 2, 3, 4
#: As shells say of a program that Ctrl-C ended.
INTERRUPTED = 130
#: As shells say of a program whose output goes to one that has ended, as in `detectorist status out | head -1`.
READER_LEFT = 141
