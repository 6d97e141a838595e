"""The shop as a constraint model, whole or a part of it decided anew. OR-Tools in ``cp_model`` alone."""
