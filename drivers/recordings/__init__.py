"""What passed between a driver and a device, kept as a file that can be played again."""
