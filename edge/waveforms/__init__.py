"""Blocks of vibration and current at the edge: taken, turned into numbers, kept in a ring, sent when
asked."""
