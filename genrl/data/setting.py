"""Settings: values of several parts that a module takes as one argument."""


class Setting:
    """Base of frozen dataclasses that a module takes as one argument, such as how a model is sampled.

    Fields are primitives or other settings, so that a checkpoint can hold them.
    """
