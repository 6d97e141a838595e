"""The relational store: one writer thread, transactions, migrations."""
