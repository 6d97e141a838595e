"""Remaining useful life: training, wear parts by Weibull, the registry of models, dates."""
