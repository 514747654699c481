"""How a model's error has gone from day to day."""
