"""What models say and how right they are: outputs, metrics, intervals, performance."""
