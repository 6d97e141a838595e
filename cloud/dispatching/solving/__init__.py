"""From a problem to a plan: dispatch rules at once, searches and the solver for as long as there is time."""
