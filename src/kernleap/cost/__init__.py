"""From a judged run and a fleet to money and energy; never needs a machine, clock or store."""
