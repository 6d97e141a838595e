"""``onelot driver``: what a machine integrator does at a terminal before a machine goes live."""
