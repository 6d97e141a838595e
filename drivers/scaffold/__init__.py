"""The beginning of a third-party driver package: it runs and passes the contract, and is then changed."""
