"""Measurements: values in, values out; no files, clock, database or params."""
