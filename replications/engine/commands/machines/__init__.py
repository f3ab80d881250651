"""`replicate attest`: the embedded tier on this machine, under other arithmetics too."""
