"""A mode that counts the bytes of text files."""
