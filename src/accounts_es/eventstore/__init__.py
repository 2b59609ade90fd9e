"""The log, the one transaction that appends to it, and what is rebuilt from it."""
