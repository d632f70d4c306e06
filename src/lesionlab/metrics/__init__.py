"""Scores of one mask against another; importing this package registers them all."""
