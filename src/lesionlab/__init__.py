"""Train, tune, predict and fairly compare networks that outline lesions in medical images."""
