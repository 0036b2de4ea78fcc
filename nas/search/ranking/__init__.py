"""Whether shared weights rank networks as training them would, and what follows from it."""
