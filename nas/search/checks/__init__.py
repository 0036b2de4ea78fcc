"""What is refused before anything is written: what nothing here can keep, hold or go on with."""
