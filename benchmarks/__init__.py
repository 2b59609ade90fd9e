"""How fast the server is, as ratios to baselines measured in the same run."""
