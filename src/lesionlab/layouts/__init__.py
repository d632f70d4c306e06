"""One file per dataset layout; importing this package registers them all."""
