"""What the releases give beside the paper's Table 1."""
