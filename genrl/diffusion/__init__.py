"""The numerical core: paths, denoisers, grids, samplers."""
