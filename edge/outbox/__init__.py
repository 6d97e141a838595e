"""What waits for the cloud, on disk: batches in lanes, their bounds, the file they share."""
