"""What the server knows and decides: plain Python, no I/O, no clock, no randomness."""
