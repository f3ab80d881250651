"""BMX equation by equation, in plain Python: score, entropy, normalisation, augmentation."""
