"""What is: metric sources, targets and pods, assembled into one Observation."""
