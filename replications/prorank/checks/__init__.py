"""The golden checks of E1, with the toy policy and tiny models they need."""
