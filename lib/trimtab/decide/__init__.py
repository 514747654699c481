"""Decisions: measurements and settings in, decision and reasons out."""
