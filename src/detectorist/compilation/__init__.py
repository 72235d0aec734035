"""Compiles the kernels of a mode ahead of its first run on a machine, in several processes.

numba compiles a kernel when it is called with types of arguments that it has not seen, one after the other, and keeps
the machine code on disk. A list in the folder of each mode (`kernels.json`) names the kernels of its default recipe and
their types, so that all of them can be compiled at once, while the run imports its libraries. A kernel that is not in
the list, or with other types, is compiled when it is called.
"""
