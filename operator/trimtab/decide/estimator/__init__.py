"""The vertical estimator: which CPU request every container should have, learned from its own usage.

docs/design/estimator.md tells the idea and the figures. The walk of one sample is `step.step`: experts forecast
(experts.py), their own past errors become margins (conformal.py), a price of an overrun picks a level on the resulting
curve (price.py), changes are rationed (hold.py), and a bank keeps to the price that has earned it, measured against a
shadow of VPA (shadow.py, bank.py). All state is in the columns of `Levels` (table.py). Memory is memory.py.
"""
