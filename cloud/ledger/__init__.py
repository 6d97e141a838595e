"""The ledger: every batch that was acknowledged, on disk before its acknowledgement."""
