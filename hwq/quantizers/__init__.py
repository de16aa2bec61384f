"""How a float becomes a fixed-point value in a forward pass, and what its gradient is. No layer is here."""
