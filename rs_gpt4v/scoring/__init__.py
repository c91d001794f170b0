"""How one reply is compared with the truth: metrics sum it up, and training rewards it."""
