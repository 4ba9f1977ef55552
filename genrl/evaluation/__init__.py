"""How good a policy or a synthetic data set is."""
