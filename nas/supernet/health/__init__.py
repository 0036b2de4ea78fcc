"""Health of a training: numbers on gates and mixtures, alarms, and what is done about them."""
