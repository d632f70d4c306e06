"""The command lesionlab: one short function per verb."""
