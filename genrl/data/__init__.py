"""Episodes: the common data set interface."""
