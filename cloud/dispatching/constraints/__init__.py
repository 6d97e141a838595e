"""The rules of a shop as constraints of its model (:mod:`~cloud.dispatching.cp_model`), one subject a file.

The functions take the model that they add to; none imports a solver.
"""
