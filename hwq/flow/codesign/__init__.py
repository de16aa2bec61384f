"""`hwq codesign`: rounds of training and measuring until a budget is met. What a network costs is predicted in `hwq.cost`, not here."""
