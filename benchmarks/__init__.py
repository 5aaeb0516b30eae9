"""What Jobtrail costs, measured the same way each time: see docs/benchmarks.md. Never deployed."""
