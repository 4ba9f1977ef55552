"""From a trained method to a finished, verified data set."""
