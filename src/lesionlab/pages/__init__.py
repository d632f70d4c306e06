"""What people look at: reports, overlays, plots."""
