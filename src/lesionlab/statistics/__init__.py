"""Whether a difference between models is more than chance; the unit is always the patient."""
