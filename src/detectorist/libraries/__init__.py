"""How the libraries below us are loaded and run: in less time and memory, with the same results."""
