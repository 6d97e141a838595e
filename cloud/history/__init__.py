"""Time series: an idempotent projection of the ledger into one of several adapters."""
