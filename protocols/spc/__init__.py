"""Statistical process control: charts, limits and run rules. Pure, so that edge and cloud judge alike."""
