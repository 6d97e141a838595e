"""OPC UA: the driver, its session, subscriptions, history, files and simulator."""
