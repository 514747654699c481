"""The words of text columns: what they are, how they are counted, and whether their use has changed."""
