"""The service: ledger, history, orders, dispatching, maintenance, API and web."""
