"""How each challenge scores; importing this package registers them all."""
