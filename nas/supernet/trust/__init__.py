"""How far a supernet's ranking can be trusted: truths, correlation, calibration, verdict."""
