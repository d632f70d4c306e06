"""What the verbs share: images, the store, planning, sampling, the loop, inference, checkpoints."""
