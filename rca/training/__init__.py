"""Incidents made for training: each with known truth, from a seed."""
