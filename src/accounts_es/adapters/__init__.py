"""The outside world behind small interfaces: databases, hashing, clocks, ids."""
