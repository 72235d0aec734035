"""Exit codes of the command."""

#: Bad arguments, data that cannot be processed, an unexpected error.
BAD_ARGUMENTS, UNPROCESSABLE, CRASHED = 2, 3, 4
#: As shells say of a program that Ctrl-C ended.
INTERRUPTED = 130
