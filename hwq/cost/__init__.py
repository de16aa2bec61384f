"""What a design will cost: features, fitted models, which model holds, one prediction. No tool is started and nothing is measured here."""
