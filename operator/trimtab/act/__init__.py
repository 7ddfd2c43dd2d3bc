"""Make it so: scale, in-place resize, swap and admission profile."""
