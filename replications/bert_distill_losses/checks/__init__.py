"""The golden checks of E1, with the tiny encoders they need."""
