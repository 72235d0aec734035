"""Input files: whether they are whole, consistent and ours to reduce, and what their headers say."""
