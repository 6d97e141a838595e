"""A stochastic simulation of a job shop that compares ways of dispatching; it touches no database."""
