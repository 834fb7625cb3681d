"""Charts (altair) and their rendering (vl-convert)."""
