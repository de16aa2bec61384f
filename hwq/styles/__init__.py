"""How a network's circuit becomes hardware: one class a style, with its cycles, features, files and model. No tool is started here."""
