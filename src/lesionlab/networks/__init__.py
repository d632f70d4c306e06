"""One file per published network; importing this package registers them all."""
