"""The closed loop: one simulated workload on nodes, run by the operator's own engine or by an HPA and a VPA."""
