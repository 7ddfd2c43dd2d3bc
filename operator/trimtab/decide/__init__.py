"""What should be: pure functions from an Observation and a State to a Plan."""
