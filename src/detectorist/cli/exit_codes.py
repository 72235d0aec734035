"""What the command says to the shell."""

#: Bad arguments, data that cannot be processed, anything unforeseen.
BAD_ARGUMENTS, UNPROCESSABLE, CRASHED = 2, 3, 4
