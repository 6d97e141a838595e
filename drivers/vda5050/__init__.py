"""VDA 5050: master control of an AGV, its broker connection and simulator."""
