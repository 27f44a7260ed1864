"""The servers behind us: peers and balancing, kept connections, and clients of the protocols they speak."""
