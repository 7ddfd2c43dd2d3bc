"""The contract with people: PerformanceConfig, quantities, conditions, reasons."""
