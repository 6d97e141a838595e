"""What the benches share: the error for data that are not there."""


class BenchDataError(ValueError):
    """A file of a bench is missing or has another form; says which, and where to obtain it."""
