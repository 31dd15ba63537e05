"""How the models of `MedFusionLib/models/` were made: learning algorithms, and one recipe for each model."""
