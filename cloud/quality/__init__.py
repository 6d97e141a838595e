"""Quality: inspection plans, control charts, capability, nonconformances, envelopes of good parts."""
