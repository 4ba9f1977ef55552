"""Generative flow networks on torchgfn: states as vectors, sampling, losses, exact sums."""
