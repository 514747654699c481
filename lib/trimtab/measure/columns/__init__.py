"""Each column by itself, from counts: bins, profiles, days, divergences, and which columns moved."""
