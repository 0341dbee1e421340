"""Store-and-forward to the city core: the protocol, the links that carry it, the engine between, and the core."""
