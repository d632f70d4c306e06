"""One file per loss; importing this package registers them all."""
