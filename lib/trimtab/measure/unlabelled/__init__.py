"""How good a model is before outcomes are known, and what such an estimate rests on."""
